#!/usr/bin/env python3
"""Counts what a request and an idle connection cost the release binary: figures that do not depend on the machine's
mood. Needs Linux and Python; `instructions` needs valgrind, `syscalls` needs strace.

    cargo build --release
    benches/measure.py instructions     user-space instructions per request, under valgrind
    benches/measure.py syscalls         system calls per request, under strace -c
    benches/measure.py memory           resident bytes per idle connection
    benches/measure.py cpu              server CPU time per request, driven by wrk
    benches/measure.py size             stripped size of the binary, crates in the tree
"""

import os
import re
import resource
import select
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
BINARY = os.path.join(TARGET, "release", "monoloop")

BROWSER_FIELDS = """\
Connection: keep-alive
Cache-Control: max-age=0
sec-ch-ua: "Chromium";v="124", "Google Chrome";v="124", "Not-A.Brand";v="99"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
DNT: 1
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: navigate
Sec-Fetch-User: ?1
Sec-Fetch-Dest: document
Referer: http://127.0.0.1:3000/index.html
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9,de;q=0.8
Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=1
If-None-Match: "5f3c-1a2b3c4d5e6f"
If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT
""".replace("\n", "\r\n")

PLAIN = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n"
BROWSER = b"GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n" + BROWSER_FIELDS.encode() + b"\r\n"


class Server:
    """The demo on a free port, perhaps under another program."""

    def __init__(self, under=(), log=None):
        command = [*under, BINARY, "demo", "--port", "0", "--idle-timeout", "1h", "--head-timeout", "1h"]
        self.process = subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE,
                                        stderr=log or subprocess.DEVNULL)
        line = ""
        while not line.startswith("listening on"):
            ready, _, _ = select.select([self.process.stdout], [], [], 60)
            line = self.process.stdout.readline().decode() if ready else ""
            if not line:
                sys.exit("the server did not start")
        self.port = int(line.rsplit(":", 1)[1])

    def connect(self):
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def pid(self):
        """The server itself, not the program that it runs under."""
        children = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        below = open(children).read().split() if os.path.exists(children) else []
        return int(below[0]) if below else self.process.pid

    def stop(self):
        os.kill(self.pid(), 15)
        self.process.communicate(timeout=120)


def ask(connection, request, rounds, batch=1):
    """Sends `batch` requests at a time and waits for all replies before the next."""
    connection.sendall(request)
    reply_length = len(connection.recv(65536))
    for _ in range(rounds):
        connection.sendall(request * batch)
        left = reply_length * batch
        while left:
            left -= len(connection.recv(left))


SCENARIOS = [("plain", PLAIN, 1), ("20 browser fields", BROWSER, 1), ("pipelined x16", PLAIN, 16)]


def instructions():
    """The difference between a short and a long run, so that start and end do not count."""
    for name, request, batch in SCENARIOS:
        totals = []
        for rounds in (500, 2500):
            with tempfile.NamedTemporaryFile("r") as out:
                server = Server(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out.name}"])
                connection = server.connect()
                ask(connection, request, rounds, batch)
                connection.close()
                server.stop()
                totals.append(int(re.search(r"^(?:summary|totals): (\d+)", out.read(), re.M).group(1)))
        print(f"{name:20} {(totals[1] - totals[0]) / (2000 * batch):8.0f} instructions per request")


def syscalls():
    for name, request, batch in SCENARIOS:
        if name.startswith("20"):
            continue
        rounds = 12800
        with tempfile.NamedTemporaryFile("r") as out:
            server = Server(["strace", "-f", "-c", "-o", out.name])
            connections = [server.connect() for _ in range(64)]
            for connection in connections:
                ask(connection, request, 1, batch)
            for _ in range(rounds // 64):
                for connection in connections:
                    connection.sendall(request * batch)
                for connection in connections:
                    connection.recv(1 << 20)
            for connection in connections:
                connection.close()
            server.stop()
            counts = {fields[-1]: int(fields[3]) for fields in map(str.split, out) if len(fields) >= 5 and fields[3].isdigit()}
        total = rounds * batch
        hot = {call: counts.get(call, 0) for call in ("recvfrom", "read", "sendto", "write", "writev", "epoll_wait", "epoll_ctl")}
        print(f"{name:20} {sum(hot.values()) / total:8.3f} system calls per request: "
              + ", ".join(f"{call} {count}" for call, count in hot.items() if count))


def resident(pid):
    """Bytes in memory that belong to the process alone."""
    text = open(f"/proc/{pid}/smaps_rollup").read()
    return 1024 * sum(int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1)) for key in ("Private_Dirty", "Private_Clean"))


def memory():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Server()
    connection = server.connect()
    ask(connection, PLAIN, 10)
    start = resident(server.pid())
    print(f"at start: {start / 1e6:.2f} MB")
    connections = []
    for count in (1000, 10000):
        while len(connections) < count:
            connections.append(server.connect())
            ask(connections[-1], PLAIN, 1)
        print(f"{count:6} idle connections: {(resident(server.pid()) - start) / count:.0f} bytes each")
    server.stop()


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu():
    for connections in (1, 64, 512):
        server = Server(["taskset", "-c", "0"])
        pid = server.process.pid
        before = cpu_seconds(pid)
        wrk = ["taskset", "-c", "1", "wrk", "-t1", f"-c{connections}", "-d5", f"http://127.0.0.1:{server.port}/plaintext"]
        text = subprocess.run(wrk, capture_output=True, text=True, check=True, timeout=60).stdout
        spent = cpu_seconds(pid) - before
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        errors = re.search(r"Socket errors.*|Non-2xx.*", text)
        print(f"wrk c{connections:<4} {requests / 5:9.0f} requests/s, {spent / requests * 1e6:6.2f} us of server CPU per request"
              + (f"  {errors.group(0)}" if errors else ", no errors"))
        server.stop()


def size():
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(["strip", "-o", stripped.name, BINARY], check=True)
        print(f"stripped binary: {os.path.getsize(stripped.name) / 1e6:.2f} MB")
    for name, flags in (("core", ["--no-default-features"]), ("defaults", [])):
        tree = subprocess.run(["cargo", "tree", "-e", "normal", "--prefix", "none", *flags], cwd=ROOT,
                              capture_output=True, text=True, check=True).stdout
        print(f"crates, {name}: {len({line.split(' (')[0] for line in tree.splitlines() if line}) - 1}")


if __name__ == "__main__":
    commands = {run.__name__: run for run in (instructions, syscalls, memory, cpu, size)}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    commands[sys.argv[1]]()
