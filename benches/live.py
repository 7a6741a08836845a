#!/usr/bin/env python3
"""What `--live` costs: `benches/live.py [--seconds 3] [--rate 10000] target/release/monoloop`.

It sends requests at a fixed rate over eight connections, and reads from /proc how much CPU time the thread of the
observed loop took, and how much the whole process took: without `--live`, with `--live` while no page is open, and with
a page open. The rounds take turns, since a machine with neighbours is not the same from minute to minute. The times are
those of each request times the rate, since such a machine may not reach the rate; of all rounds the median counts.
"""
import argparse
import base64
import os
import pathlib
import socket
import statistics
import subprocess
import threading
import time

CONNECTIONS = 8
PERIOD = 0.004  # seconds between two bursts: each connection gets its share of the requests that are due
REQUEST = b"GET /users/1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
TICK = os.sysconf("SC_CLK_TCK")


def cpu(path):
    """User and system time of a process or a thread, in seconds. schedstat counts in nanoseconds, where it is there."""
    try:
        return int((path / "schedstat").read_text().split()[0]) / 1e9
    except OSError:
        fields = (path / "stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK


def process_cpu(pid):
    return sum(cpu(task) for task in pathlib.Path(f"/proc/{pid}/task").iterdir())


def start(program, options):
    words = ["taskset", "-c", "0", program, "demo", "--port=0", *options]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if line.startswith("listening on http://"):
            address = line.strip().removeprefix("listening on http://")
            if not options:
                return process, address, None
        if line.startswith("live page on http://"):
            return process, address, line.strip().removeprefix("live page on http://").removesuffix("/_live")


def connect(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


def watch(page, frames):
    """A page: it reads all frames, and counts them by their bytes."""
    feed = connect(page)
    key = base64.b64encode(os.urandom(16)).decode()
    feed.sendall(
        f"GET /_live/feed HTTP/1.1\r\nHost: {page}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )

    def read():
        try:
            while piece := feed.recv(1 << 20):
                frames.append(len(piece))
        except OSError:
            pass  # the end of the round has closed it

    threading.Thread(target=read, daemon=True).start()
    return feed


def load(address, seconds, rate):
    """Sends at the rate and reads what comes. Returns how many requests were answered."""
    sockets = [connect(address) for _ in range(CONNECTIONS)]
    length = None
    sent = answered = 0
    begin = time.monotonic()
    while (now := time.monotonic()) < begin + seconds:
        due = int((now - begin) * rate) - sent
        # One request each on as many connections as there are, again and again: one request at a time is on its way.
        while due > 0:
            used = sockets[: min(due, CONNECTIONS)]
            for each in used:
                each.sendall(REQUEST)
            for each in used:
                reply = each.recv(4096)
                length = length or len(reply)
                assert reply.startswith(b"HTTP/1.1 200 ") and len(reply) == length, reply
            sent += len(used)
            answered += len(used)
            due -= len(used)
        time.sleep(max(0, PERIOD - (time.monotonic() - now)))
    for each in sockets:
        each.close()
    return answered


def measure(program, case, arguments):
    process, address, page = start(program, [] if case == "without" else ["--live=127.0.0.1:0"])
    frames = []
    try:
        feed = watch(page, frames) if case == "open" else None
        load(address, 0.5, arguments.rate)
        main = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}")
        before, before_all, begin = cpu(main), process_cpu(process.pid), time.monotonic()
        answered = load(address, arguments.seconds, arguments.rate)
        took = time.monotonic() - begin
        share = arguments.rate / answered
        loop, whole = (cpu(main) - before) * share, (process_cpu(process.pid) - before_all) * share
        result = loop, whole, answered / took
        if feed:
            feed.close()
        return *result, sum(frames) / took
    finally:
        process.terminate()
        process.wait(15)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    results = {"without": [], "closed": [], "open": []}
    for _ in range(arguments.rounds):
        for case, list_of_results in results.items():
            list_of_results.append(measure(arguments.program, case, arguments))
    print(f"{'':<8} {'loop':>8} {'process':>8} {'requests/s':>11} {'feed KB/s':>10}")
    for case, rounds in results.items():
        each = sorted(100 * loop for loop, *_ in rounds)
        print(f"{case:<8} the loop in each round:", *(f"{value:.2f}" for value in each))
        loop, process, rate, feed = (statistics.median(column) for column in zip(*rounds))
        print(f"{case:<8} {100 * loop:>6.2f} % {100 * process:>6.2f} % {rate:>11.0f} {feed / 1000:>10.1f}")


if __name__ == "__main__":
    main()
