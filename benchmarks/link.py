"""A link simulator: a TCP proxy on loopback with latency, limited rates, and connections that are cut.

`linked` runs it in a process of its own, so that it shares no global interpreter lock with the client. To try one:

    python -m benchmarks.link --to 8333 --latency 20 --per-connection 80e6

It listens on a free port of 127.0.0.1, and forwards to port 8333 there. What it simulates: each direction of a
connection has the rate and half of the latency; the first bytes of a connection arrive one round trip later, as after
a handshake. What it does not simulate: slow start, retransmissions, TLS.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING

from benchmarks import ROOT
from benchmarks.counting import RequestCounter
from benchmarks.scale import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HOST = "127.0.0.1"
PIECE = 128 * KIB
"""Bytes that are received at once, and so at most what arrives together after its last byte is due."""
WINDOW = 6 * MIB
"""Bytes on their way in one direction of a connection, as with Linux's default for the largest receive window."""
_RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which closing a socket resets the connection."""


@dataclass(frozen=True)
class Limits:
    """What a link does to its connections.

    Attributes:
        latency: milliseconds of a round trip; half of them in each direction.
        per_connection: bytes per second in each direction of a connection; None without a limit.
        total: bytes per second in each direction of all connections together; None without a limit.
        cut_after: each connection is cut after about this many bytes of both directions: between half of them and one
            and a half times as many; None never.
        cut_per_mib: the probability that a connection is cut within a MiB, at least 0 and less than 1.
        seed: makes the cuts of successive connections the same in each run; None for others each time.
    """

    latency: float = 0.0
    per_connection: float | None = None
    total: float | None = None
    cut_after: float | None = None
    cut_per_mib: float = 0.0
    seed: int | None = None

    def __post_init__(self) -> None:
        positive = (self.per_connection, self.total, self.cut_after)
        if self.latency < 0 or not 0 <= self.cut_per_mib < 1 or any(one is not None and one <= 0 for one in positive):
            message = "latency is at least 0, rates and cuts are positive, and a probability is at least 0 and below 1"
            raise ValueError(message)

    def cut(self, chance: random.Random) -> float:
        """Draw the number of bytes after which a connection is cut; infinity if it is not cut."""
        found = math.inf
        if self.cut_after:
            found = chance.uniform(0.5, 1.5) * self.cut_after
        if self.cut_per_mib:  # the number of MiB until the first cut has a geometric distribution
            found = min(found, math.log(1 - chance.random()) / math.log(1 - self.cut_per_mib) * MIB)
        return found


class Rate:
    """A rate in bytes per second, as a schedule: says when the bytes handed to it have passed.

    Time in which nothing passes is not saved up: there are no bursts above the rate.
    """

    def __init__(self, rate: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_byte = 1 / rate if rate else 0.0
        self._clock = clock
        self._free = -math.inf
        self._lock = threading.Lock()

    def passed(self, size: int) -> float:
        """Return the time in seconds of the clock when `size` more bytes have passed."""
        with self._lock:
            self._free = max(self._free, self._clock()) + size * self._per_byte
            return self._free


@dataclass
class Traffic:
    """What went through a link.

    Attributes:
        connections: the connections that clients made.
        cut: those that the link cut.
        requests: HTTP requests; other protocols are not counted.
        sent: bytes from clients to the server.
        received: bytes from the server to clients.
    """

    connections: int = 0
    cut: int = 0
    requests: int = 0
    sent: int = 0
    received: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                setattr(self, name, getattr(self, name) + number)

    def __str__(self) -> str:
        with self._lock:
            return json.dumps({one.name: getattr(self, one.name) for one in fields(self) if one.name != "_lock"})


class _Direction:
    """One direction of a connection: the bytes that are on their way, and when they are due."""

    def __init__(
        self, source: socket.socket, target: socket.socket, rates: Sequence[Rate], delay: float, earliest: float
    ) -> None:
        self.source, self.target = source, target
        self._rates, self._delay, self._earliest = rates, delay, earliest
        self._pieces: deque[tuple[float, memoryview]] = deque()
        self._held = 0
        self._ended = False  # the source has sent its last byte

    @property
    def reads(self) -> bool:
        return not self._ended and self._held < WINDOW

    @property
    def done(self) -> bool:
        return self._ended and not self._pieces

    @property
    def due(self) -> float:
        """When the next piece is due, in seconds of `time.monotonic`."""
        return self._pieces[0][0] if self._pieces else math.inf

    def receive(self) -> bytes:
        """Receive a piece, and schedule it; an empty one is the end."""
        data = self.source.recv(PIECE)
        passed = max([rate.passed(len(data)) for rate in self._rates])
        self._pieces.append((max(passed, self._earliest) + self._delay, memoryview(data)))
        self._held += len(data)
        self._ended = not data
        return data

    def send(self) -> None:
        """Send the piece that is due, as far as the target takes it."""
        due, piece = self._pieces.popleft()
        if not piece:
            self.target.shutdown(socket.SHUT_WR)
            return
        sent = self.target.send(piece)
        self._held -= sent
        if sent < len(piece):
            self._pieces.appendleft((due, piece[sent:]))


class Proxy:
    """Forwards connections to a port of this machine, within limits; each connection has a thread."""

    def __init__(self, to: int, limits: Limits, port: int = 0) -> None:
        self.traffic = Traffic()
        self._to, self._limits = to, limits
        self._chance = random.Random(limits.seed)
        self._up, self._down = Rate(limits.total), Rate(limits.total)
        self._listener = socket.create_server((HOST, port), backlog=128)
        self.port: int = self._listener.getsockname()[1]

    def serve(self) -> None:
        """Accept connections until the process ends."""
        while True:
            client, _ = self._listener.accept()
            cut = self._limits.cut(self._chance)  # in this thread, in the order of the connections
            threading.Thread(target=self._connection, args=(client, cut), daemon=True).start()

    def _connection(self, client: socket.socket, cut: float) -> None:
        self.traffic.count(connections=1)
        with client:
            try:
                server = socket.create_connection((HOST, self._to))
            except OSError:
                _reset(client)
                return
            with server:
                try:
                    whole = self._forward(client, server, cut)
                except OSError:  # one side has reset the connection, and so does the link on the other side
                    whole = False
                if not whole:
                    _reset(client, server)

    def _forward(self, client: socket.socket, server: socket.socket, cut: float) -> bool:
        """Forward both directions to their ends; return False if the link cuts the connection before."""
        round_trip = self._limits.latency / 1000
        for one in (client, server):
            one.settimeout(0)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = time.monotonic() + round_trip
        own = self._limits.per_connection
        up = _Direction(client, server, (Rate(own), self._up), round_trip / 2, connected)
        down = _Direction(server, client, (Rate(own), self._down), round_trip / 2, connected)
        requests = RequestCounter()
        while not (up.done and down.done):
            now = time.monotonic()
            due = {one.target: one for one in (up, down) if one.due <= now}
            reading = {one.source: one for one in (up, down) if one.reads}
            wait = min([one.due for one in (up, down) if one.due > now], default=math.inf) - now
            readable, writable, _ = select.select(reading, due, (), None if wait == math.inf else wait)
            for one in writable:
                due[one].send()
            for one in readable:
                data = reading[one].receive()
                cut -= len(data)
                if cut < 0:
                    self.traffic.count(cut=1)
                    return False
                if reading[one] is up:
                    self.traffic.count(sent=len(data), requests=requests.feed(data))
                else:
                    self.traffic.count(received=len(data))
        return True


def _reset(*sockets: socket.socket) -> None:
    """Have connections reset when they are closed, as a network does that loses them."""
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)


class Link:
    """A running link.

    Attributes:
        port: the port of 127.0.0.1 that it listens on.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = json.loads(self._line())["port"]

    @property
    def url(self) -> str:
        """The URL of an HTTP server behind the link, without a trailing slash."""
        return f"http://{HOST}:{self.port}"

    def traffic(self) -> Traffic:
        """Return what has gone through so far."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return Traffic(**json.loads(self._line()))

    def _line(self) -> str:
        line: str = self._process.stdout.readline()
        if not line:
            message = f"the link ended with status {self._process.wait()}"
            raise RuntimeError(message)
        return line


@contextmanager
def linked(to: int, limits: Limits) -> Iterator[Link]:
    """Run a link to a port of 127.0.0.1 in a process of its own.

    Raises:
        RuntimeError: it did not start, or ended.
    """
    command = [sys.executable, "-m", "benchmarks.link", "--to", str(to)]
    for name, value in asdict(limits).items():
        if value is not None:
            command += [f"--{name.replace('_', '-')}", str(value)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        try:
            yield Link(process)
        finally:
            process.stdin.close()  # ends it


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.link", description=__doc__.partition("\n")[0])
    whole = parser.add_argument_group("both directions have the same limits")
    parser.add_argument("--to", type=int, required=True, metavar="PORT", help="forward to this port of 127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="listen on this port of 127.0.0.1; default: a free one")
    whole.add_argument("--latency", type=float, default=0.0, metavar="MS", help="milliseconds of a round trip")
    whole.add_argument("--per-connection", type=float, metavar="RATE", help="bytes per second of a connection")
    whole.add_argument("--total", type=float, metavar="RATE", help="bytes per second of all connections together")
    whole.add_argument("--cut-after", type=float, metavar="BYTES", help="cut each connection after about that many")
    whole.add_argument("--cut-per-mib", type=float, default=0.0, metavar="P", help="probability of a cut in each MiB")
    whole.add_argument("--seed", type=int, help="cut the same connections at the same bytes in each run")
    options = parser.parse_args()
    try:
        limits = Limits(**{one.name: getattr(options, one.name) for one in fields(Limits)})
    except ValueError as error:
        parser.error(str(error))
    proxy = Proxy(options.to, limits, options.port)
    threading.Thread(target=proxy.serve, daemon=True).start()
    print(json.dumps({"port": proxy.port}), flush=True)
    if sys.stdin.isatty():
        print("Enter prints what went through; Ctrl-D ends the link.", file=sys.stderr)
    for _ in sys.stdin:
        print(proxy.traffic, flush=True)


if __name__ == "__main__":
    main()
