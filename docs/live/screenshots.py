#!/usr/bin/env python3
"""Makes the screenshots of docs/LIVE.md: `docs/live/screenshots.py target/release/monoloop [DIRECTORY]`.

It starts `monoloop demo --live`, opens the page in Chromium under chromedriver, and clicks as a student would. Each
picture is of a server of its own, so that none shows what another one has left.
"""
import base64
import collections
import json
import pathlib
import struct
import subprocess
import sys
import time
import urllib.request
import zlib

LIMIT = 20  # seconds that anything may take


class Browser:
    """Chromium, through the WebDriver protocol."""

    def __init__(self, width, height, mobile=False):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in self.driver.stdout:
            if "started successfully on port " in line:
                self.base = f"http://127.0.0.1:{line.strip().rsplit(' ', 1)[1].rstrip('.')}"
                break
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        options = {"args": [*args, f"--window-size={width},{height}"]}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.base += f"/session/{session}"
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
        self.devtools("Emulation.setDeviceMetricsOverride", size)

    def ask(self, method, path, content=None):
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=LIMIT) as reply:
            return json.load(reply)["value"]

    def devtools(self, command, parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def wait(self, expression):
        """Waits until an expression of JavaScript is true."""
        end = time.monotonic() + LIMIT
        while not self.run(f"return Boolean({expression})"):
            if time.monotonic() > end:
                sys.exit(f"not true in {LIMIT} s: {expression}")
            time.sleep(0.05)

    def click(self, selector):
        self.run(f"document.querySelector({json.dumps(selector)}).click()")

    def picture(self, path):
        shot = self.devtools("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": False})
        path.write_bytes(with_palette(base64.b64decode(shot["data"])))
        print(f"{path}: {path.stat().st_size // 1024} KiB")

    def close(self):
        self.ask("DELETE", "")
        self.driver.terminate()
        self.driver.wait(LIMIT)


def with_palette(png):
    """The same picture with 256 colours at most. It has a third of the bytes."""
    width, height, rows = pixels_of(png)
    rounded = [[tuple(value & 0xFC | value >> 6 for value in pixel) for pixel in row] for row in rows]
    counts = collections.Counter(pixel for row in rounded for pixel in row)
    palette = [colour for colour, _ in counts.most_common(256)]
    index = {colour: number for number, colour in enumerate(palette)}
    for colour in counts:
        if colour not in index:
            near = min(palette, key=lambda other: sum((a - b) ** 2 for a, b in zip(colour, other)))
            index[colour] = index[near]
    data = b"".join(b"\0" + bytes(index[pixel] for pixel in row) for row in rounded)
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", head), (b"PLTE", bytes(value for colour in palette for value in colour))]
    parts += [(b"IDAT", zlib.compress(data, 9)), (b"IEND", b"")]
    pieces = [struct.pack(">I", len(text)) + kind + text + struct.pack(">I", zlib.crc32(kind + text)) for kind, text in parts]
    return png[:8] + b"".join(pieces)


def pixels_of(png):
    """Reads a PNG of 8 bits without interlacing: its width, its height, and its rows of (red, green, blue)."""
    at, data = 8, b""
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        text = png[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, _, colours = struct.unpack(">IIBB", text[:10])
        if kind == b"IDAT":
            data += text
        at += 12 + length
    size = {2: 3, 6: 4}[colours]
    data, rows, before = zlib.decompress(data), [], bytearray(width * size)
    for number in range(height):
        start = number * (width * size + 1)
        line = unfiltered(data[start], bytearray(data[start + 1 : start + 1 + width * size]), before, size)
        rows.append([tuple(line[x : x + 3]) for x in range(0, width * size, size)])
        before = line
    return width, height, rows


def unfiltered(kind, line, before, size):
    """Undoes the filter of a row (PNG specification, chapter 9)."""
    for x in range(len(line)) if kind else ():
        left, up = line[x - size] if x >= size else 0, before[x]
        corner = before[x - size] if x >= size else 0
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda value: abs(guess - value))
        line[x] = line[x] + [0, left, up, (left + up) // 2, nearest][kind] & 0xFF
    return line


class Demo:
    """`monoloop demo --live`, on free ports."""

    def __init__(self, program):
        words = [program, "demo", "--live=127.0.0.1:0", "--port=0"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.server = line.removeprefix("listening on http://").strip()
            if line.startswith("live page on "):
                self.url = line.removeprefix("live page on ").strip()
                break

    def end(self):
        self.process.terminate()
        self.process.wait(LIMIT)


CONNECTED = "document.getElementById('link').textContent === 'Connected.' && document.body.dataset.frame"


def slots(phase):
    return f"document.querySelectorAll('#slots .slot.{phase}').length"


def look_at(browser, selector):
    """Points at a slot, so that its connection is described."""
    browser.run(
        f"document.querySelector({json.dumps(selector)})"
        "?.dispatchEvent(new PointerEvent('pointerover', { bubbles: true }))"
    )


def at_rest(browser, _):
    browser.wait("document.querySelectorAll('#parts tbody tr').length === 9")
    time.sleep(3)


def under_load(browser, demo):
    load = subprocess.Popen(
        ["wrk", "-t1", "-c200", "-d15s", f"http://{demo.server}/users"], stdout=subprocess.DEVNULL
    )
    browser.click("[data-what=polite]")
    browser.click("[data-what=broadcast]")
    browser.wait(f"{slots('upgraded')} >= 20")
    time.sleep(4)
    look_at(browser, "#slots .slot.upgraded")
    time.sleep(0.3)
    return load


def slow_reader(browser, _):
    browser.click("[data-what=polite]")
    browser.click("[data-what=drip]")
    browser.click("[data-what=slow]")
    browser.wait(f"document.querySelector('#slots .held') && {slots('head')} && {slots('idle')} >= 45")
    time.sleep(1)
    look_at(browser, "#slots .held")
    time.sleep(0.3)


def in_a_drain(browser, _):
    for what in ["polite", "broadcast", "slow"]:
        browser.click(f"[data-what={what}]")
    browser.wait(f"document.querySelector('#slots .held') && {slots('upgraded')} >= 20")
    browser.click("#speed [data-delay='100']")
    browser.click("#drain")
    browser.click("#drain")
    browser.wait("document.getElementById('stage').dataset.stage === 'closing'")
    browser.wait(f"{slots('halfclosed')} + {slots('ending')} > 0")
    look_at(browser, "#slots .halfclosed")
    time.sleep(0.3)


def on_a_phone(browser, _):
    browser.click("[data-what=polite]")
    browser.click("[data-what=slow]")
    browser.wait(f"document.querySelector('#slots .held') && {slots('idle')} >= 45")
    look_at(browser, "#slots .held")
    time.sleep(0.3)


# Name, what happens, width, height, dark mode.
PICTURES = [
    ("at-rest", at_rest, 1280, 1000, False),
    ("under-load", under_load, 1280, 1000, True),
    ("slow-reader", slow_reader, 1280, 1400, False),
    ("drain", in_a_drain, 1280, 1000, False),
    ("phone", on_a_phone, 360, 1500, False),
]


def main():
    program = sys.argv[1]
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parent)
    wanted = sys.argv[3:]
    for name, act, width, height, dark in PICTURES:
        if wanted and name not in wanted:
            continue
        demo, browser = Demo(program), Browser(width, height, mobile=width < 500)
        load = None
        try:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            browser.devtools("Emulation.setEmulatedMedia", {"features": [scheme]})
            browser.ask("POST", "/url", {"url": demo.url})
            browser.wait(CONNECTED)
            load = act(browser, demo)
            browser.picture(folder / f"{name}.png")
        finally:
            browser.close()
            demo.end()
            if load:
                load.wait(LIMIT)


if __name__ == "__main__":
    main()
