"""A small, strict client. It checks answers, and it drives the servers for counts, not for times."""

import socket
from dataclasses import dataclass

from scenarios import MISSING, Exchange, Scenario

TIMEOUT = 10
"""Seconds that one answer may take."""

MOST = 1 << 20
"""Bytes that are read at a time."""

IP_BIND_ADDRESS_NO_PORT = 24
"""ip(7): the port is chosen when the socket connects. Python's module knows it from 3.12 on."""


class Broken(Exception):
    """An invalid answer; the text says why."""


@dataclass(frozen=True)
class Answer:
    status: int
    fields: dict[str, str]
    """By lower-case name."""
    content: bytes


class Client:
    """One connection."""

    def __init__(self, port: int, timeout: float = TIMEOUT, receive_buffer: int = 0, source: str = ""):
        """Connects. A small `receive_buffer`, in bytes, keeps the kernel from reading ahead of a slow reader; other
        addresses as `source` spare it a long search for a free port."""
        self.socket = socket.socket()
        self.socket.settimeout(timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            self.socket.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            self.socket.bind((source, 0))
        try:
            self.socket.connect(("127.0.0.1", port))
        except OSError:
            self.socket.close()
            raise
        self.input = bytearray()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> Answer:
        """The next answer. It must have a Content-Length."""
        status, fields, length = self.receive_head()
        while len(self.input) < length:
            self._read("before the end of the content")
        content = bytes(self.input[:length])
        del self.input[:length]
        return Answer(status, fields, content)

    def receive_head(self, most: int = MOST) -> tuple[int, dict[str, str], int]:
        """Status, fields and length of the next answer; at most this many bytes are read at a time. Bytes after the
        head stay in `input`."""
        while (end := self.input.find(b"\r\n\r\n")) < 0:
            self._read("before the end of a head", most)
        head = self.input[:end].decode("latin-1")
        del self.input[:end + 4]
        first, *lines = head.split("\r\n")
        version, status, _ = f"{first}  ".split(" ", 2)
        if version != "HTTP/1.1":
            raise Broken(f"a reply that begins with {version!r}")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "content-length" not in fields:
            raise Broken("no Content-Length")
        return int(status), fields, int(fields["content-length"])

    def skip(self, most: int) -> int:
        """Reads and discards some bytes, and returns their number."""
        self._read("before the end of the content", most)
        count = len(self.input)
        self.input.clear()
        return count

    def is_closed_by_server(self) -> bool:
        """Whether the server ends the connection within a second, and sends nothing more."""
        self.socket.settimeout(1)
        try:
            return not self.input and self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True

    def _read(self, when: str, most: int = MOST) -> None:
        try:
            data = self.socket.recv(most)
        except TimeoutError as error:
            raise Broken(f"silence {when}") from error
        except OSError as error:
            raise Broken(f"{error.strerror} {when}") from error
        if not data:
            raise Broken(f"connection closed {when}")
        self.input += data


def faults(port: int, scenario: Scenario) -> list[str]:
    """What is wrong with a server's answers to exactly the requests of a scenario."""
    found = []
    try:
        if scenario.closes:
            found += _closing_faults(port, scenario.exchanges[0])
        else:
            found += _lasting_faults(port, scenario)
    except (Broken, OSError, ValueError) as error:
        found.append(str(error) or type(error).__name__)
    return found


def _lasting_faults(port: int, scenario: Scenario) -> list[str]:
    """All exchanges, twice, over one connection."""
    found: list[str] = []
    with Client(port) as client:
        for exchange in 2 * scenario.exchanges:
            client.send(scenario.batch * exchange.request(port))
            for _ in range(scenario.batch):
                found += answer_faults(client.receive(), exchange)
        if client.input:
            found.append("more answers than requests")
    return sorted(set(found))


def _closing_faults(port: int, exchange: Exchange) -> list[str]:
    with Client(port) as client:
        client.send(exchange.request(port))
        found = answer_faults(client.receive(), exchange)
        if not client.is_closed_by_server():
            found.append("does not close the connection that asked for it")
    return found


def answer_faults(answer: Answer, exchange: Exchange) -> list[str]:
    """What is wrong with one answer."""
    found = []
    if answer.status != 200:
        found.append(f"status {answer.status}")
    if answer.content != exchange.answer:
        found.append(f"wrong content for {exchange.method} {exchange.target}")
    if not answer.fields.get("content-type", "").startswith(exchange.content_type):
        found.append(f"Content-Type {answer.fields.get('content-type', 'missing')}")
    return found


def unknown_path_faults(port: int) -> list[str]:
    """Whether an unknown path is a 404."""
    try:
        with Client(port) as client:
            client.send(MISSING.request(port))
            status = client.receive().status
    except (Broken, OSError, ValueError) as error:
        return [f"unknown path: {error}"]
    return [] if status == 404 else [f"unknown path: status {status} instead of 404"]
