#!/usr/bin/env python3
"""Makes the recordings in this folder anew: `tests/recordings/make.py PROGRAM [NAME ...]`.

PROGRAM is the built command. Each recording has a server of its own, on a free port of the loopback, and one kind of
client: curl, Chromium, or a socket that behaves badly. README.md says what to look at in each.
"""

import base64
import os
import signal
import socket
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else "monoloop"


class Server:
    """The demo, recorded into NAME.jsonl."""

    def __init__(self, name, *options):
        command = [PROGRAM, "demo", "--port=0", f"--record={HERE}/{name}.jsonl", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={})
        for line in self.process.stdout:
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                self.port = int(self.url.rsplit(":", 1)[1])
                return
        sys.exit(f"{name}: the server does not start")

    def connect(self, room=None):
        client = socket.socket()
        if room:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        client.settimeout(10)
        client.connect(("127.0.0.1", self.port))
        return client

    def curl(self, *arguments):
        subprocess.run(["curl", "-s", "-o", "/dev/null", *arguments], timeout=20, check=False)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def end(self):
        self.stop()
        self.process.communicate(timeout=20)


def to_the_end(client):
    """Reads until the server closes its side."""
    content = b""
    while piece := client.recv(65536):
        content += piece
    return content


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def curl_get(name):
    server = Server(name)
    server.curl(f"{server.url}/users/1?verbose=yes", "-H", "Cookie: session=secret")
    server.end()


def curl_expect(name):
    server = Server(name)
    content = '{"name":"Dora","email":"dora@example.com"}'
    fields = ["-H", "Content-Type: application/json", "-H", "Expect: 100-continue"]
    server.curl(f"{server.url}/users", "-d", content, *fields)
    server.end()


def curl_upload(name):
    server = Server(name)
    subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-X", "POST", "-T", "-", f"{server.url}/upload"],
        input=b"0123456789abcde\n" * 512, timeout=20, check=False,
    )
    server.end()


def chromium(name):
    server = Server(name)
    profile = f"/tmp/monoloop-recording-{os.getpid()}"
    subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
         "--virtual-time-budget=500", "--dump-dom", f"{server.url}/"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=False,
    )
    server.end()
    subprocess.run(["rm", "-rf", profile], check=False)


def drip(name):
    server = Server(name, "--head-timeout=1s")
    client = server.connect()
    for byte in request("/plaintext", "X-Slow: " + "z" * 200):
        try:
            client.send(bytes([byte]))
        except OSError:
            break
        time.sleep(0.05)
    try:
        to_the_end(client)
    except OSError:
        pass
    server.end()


def reset(name):
    server = Server(name)
    client = server.connect(room=4096)
    client.send(request("/big?mib=64"))
    client.recv(1000)
    time.sleep(0.3)
    # A linger time of zero makes close(2) a reset.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    time.sleep(0.2)
    server.end()


def pipeline(name):
    server = Server(name)
    client = server.connect()
    paths = ["/plaintext", "/json", "/users/1", "/nothing"]
    all_but_last = [request(paths[number % 4]) for number in range(31)]
    client.send(b"".join([*all_but_last, request("/plaintext", "Connection: close")]))
    to_the_end(client)
    server.end()


def slow_reader(name):
    server = Server(name)
    client = server.connect(room=16384)
    client.send(request("/big?mib=3", "Connection: close"))
    time.sleep(0.3)
    left = True
    while left:
        left = client.recv(262144)
        time.sleep(0.002)
    server.end()


def websocket(name):
    server = Server(name)
    client = server.connect()
    key = base64.b64encode(b"sixteen bytes!!!").decode()
    client.send(request("/ws/echo", "Upgrade: websocket", "Connection: Upgrade",
                        f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"))
    client.recv(4096)

    def frame(opcode, content):
        mask = b"\x01\x02\x03\x04"
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        return bytes([0x80 | opcode, 0x80 | len(content)]) + mask + masked

    for content in [b"hello", b"how are you?"]:
        client.send(frame(1, content))
        client.recv(4096)
    client.send(frame(9, b"ping"))
    client.recv(4096)
    client.send(frame(8, struct.pack(">H", 1000) + b"bye"))
    to_the_end(client)
    client.close()
    server.end()


def events(name):
    server = Server(name)
    server.curl("-N", "--max-time", "2.5", f"{server.url}/events")
    time.sleep(0.2)
    server.end()


def drain(name):
    server = Server(name, "--drain-grace=300ms")
    idle, slow = server.connect(), server.connect()
    idle.send(request("/plaintext"))
    idle.recv(4096)
    slow.send(request("/slow?ms=600"))
    time.sleep(0.2)
    server.stop()
    to_the_end(slow)
    to_the_end(idle)
    idle.close()
    slow.close()
    server.end()


RECORDINGS = {
    "curl-get": curl_get,
    "curl-expect": curl_expect,
    "curl-upload": curl_upload,
    "chromium": chromium,
    "drip": drip,
    "reset": reset,
    "pipeline": pipeline,
    "slow-reader": slow_reader,
    "websocket": websocket,
    "events": events,
    "drain": drain,
}

if __name__ == "__main__":
    for wanted in sys.argv[2:] or RECORDINGS:
        RECORDINGS[wanted](wanted)
        print(wanted, os.path.getsize(f"{HERE}/{wanted}.jsonl"))
