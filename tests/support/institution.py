"""An institution's network on loopback: a store with a certificate of its own authority, and a proxy to the outside."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["AUTHORITY", "Certificates", "Tunnel", "certificates", "store_server", "tunnel"]

AUTHORITY = "Clinic Root CA"


@dataclass(frozen=True)
class Certificates:
    """What an authority issued.

    Attributes:
        authority: the file of the authority's certificate.
        server: the TLS context of a server with the issued names.
    """

    authority: Path
    server: ssl.SSLContext


def certificates(folder: Path, *names: str) -> Certificates:
    """Create an authority and a certificate for a server with some DNS names."""
    now = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def issue(subject: str, public: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]))
            .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, AUTHORITY)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if not ca:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(root_key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    authority, chain = folder / "authority.pem", folder / "chain.pem"
    authority.write_bytes(issue(AUTHORITY, root_key.public_key(), ca=True).public_bytes(pem))
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain.write_bytes(secret + issue(names[0], key.public_key(), ca=False).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Certificates(authority, context)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that do not trust the certificate hang up."""


@contextmanager
def store_server(data: bytes, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[str]]]:
    """Serve one object to every GET, as every kind of store would; yield the port, and the requests' first lines."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.append(self.requestline)
            asked = self.headers.get("Range") or self.headers.get("x-ms-range") or ""
            span = re.fullmatch(r"bytes=(\d+)-(\d+)", asked)
            start, stop = (int(span[1]), min(int(span[2]) + 1, len(data))) if span else (0, len(data))
            self.send_response(206 if span else 200)
            for name, value in {
                "Content-Length": str(stop - start),
                "Content-Range": f"bytes {start}-{stop - 1}/{len(data)}" if span else "",
                "ETag": '"1"',
                "x-goog-generation": "1",
                "x-ms-blob-type": "BlockBlob",
                "Last-Modified": "Sat, 28 Nov 2026 10:00:00 GMT",
            }.items():
                if value:
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[start:stop])

        def log_message(self, *_: object) -> None:
            """Say nothing: tests look at what is yielded."""

    server = _Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Tunnel:
    """An HTTP proxy that leads every host to one port on loopback.

    Attributes:
        url: its URL.
        heads: the bytes that each client sent before its tunnel was opened.
    """

    url: str
    heads: list[bytes] = field(default_factory=list)


@contextmanager
def tunnel(to_port: int, *, answer: bytes = b"200 Connection established") -> Iterator[Tunnel]:
    """Run a proxy that takes CONNECT; with another `answer`, it opens no tunnel."""
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Tunnel(f"http://127.0.0.1:{listener.getsockname()[1]}")
    sockets: list[socket.socket] = []

    def pass_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(1 << 16):
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            sockets.append(client)
            head = b""
            with suppress(OSError):
                while b"\r\n\r\n" not in head and (piece := client.recv(1 << 12)):
                    head += piece
            proxy.heads.append(head)
            if not head.startswith(b"CONNECT ") or not answer.startswith(b"200"):
                with suppress(OSError):
                    client.sendall(b"HTTP/1.1 " + (answer if head.startswith(b"CONNECT ") else b"404 No") + b"\r\n\r\n")
                client.close()
                continue
            upstream = socket.create_connection(("127.0.0.1", to_port))
            sockets.append(upstream)
            client.sendall(b"HTTP/1.1 " + answer + b"\r\n\r\n")
            for pair in ((client, upstream), (upstream, client)):
                threading.Thread(target=pass_on, args=pair, daemon=True).start()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for one in sockets:
            one.close()
