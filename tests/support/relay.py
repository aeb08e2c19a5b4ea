"""A relay of TCP connections that cuts each of them after so many bytes."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Relay", "relay"]


@dataclass
class Relay:
    """A running relay.

    Attributes:
        port: where it listens, on loopback.
        passed: for each connection, how many of the server's bytes were passed on.
    """

    port: int
    passed: list[int] = field(default_factory=list)


@contextmanager
def relay(port: int, after: int) -> Iterator[Relay]:
    """Relay connections to a port of this machine; each ends after `after` bytes of the server's."""
    threads: list[threading.Thread] = []
    ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = Relay(listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    server = socket.create_connection(("127.0.0.1", port))
                    ends.extend((client, server))
                    running.passed.append(0)
                    number = len(running.passed) - 1
                    for work in ((_ask, client, server), (_answer, client, server, running, number, after)):
                        threads.append(threading.Thread(target=work[0], args=work[1:]))
                        threads[-1].start()

        threads.append(threading.Thread(target=accept))
        threads[-1].start()
        try:
            yield running
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for end in ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def _ask(client: socket.socket, server: socket.socket) -> None:
    with client, suppress(OSError):
        while data := client.recv(1 << 16):
            server.sendall(data)
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _answer(client: socket.socket, server: socket.socket, running: Relay, number: int, after: int) -> None:
    with server, suppress(OSError):
        while running.passed[number] < after:
            data = server.recv(min(1 << 16, after - running.passed[number]))
            if not data:
                break
            client.sendall(data)
            running.passed[number] += len(data)
    with suppress(OSError):
        client.shutdown(socket.SHUT_WR)
