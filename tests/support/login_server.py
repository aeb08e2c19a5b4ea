"""A login server as Microsoft Entra's is, behind TLS on loopback, and the tokens that it issues."""

from __future__ import annotations

import base64
import ipaddress
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["CLIENT", "SECRET", "TENANT", "Certificate", "Login", "over_tls", "self_signed", "serving", "token"]

TENANT, CLIENT, SECRET = "6b1f9d2e-tenant", "11fa2b7c-client", "s3cr3t~of.the-principal"


def token(audience: str = "https://storage.azure.com") -> str:
    """Return a token as Microsoft Entra issues it; Azurite checks everything but the signature."""
    now = int(time.time())
    claims: dict[str, Any] = {
        "aud": audience,
        "iss": f"https://sts.windows.net/{TENANT}/",
        "nbf": now - 60,
    }
    claims |= {"iat": now - 60, "exp": now + 3600, "oid": "principal", "tid": TENANT}
    parts = ({"alg": "HS256", "typ": "JWT"}, claims, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


@dataclass
class Certificate:
    path: str
    key: str

    def context(self) -> ssl.SSLContext:
        """Return the TLS of a server that has the certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self.key)
        return context


def self_signed(folder: Path) -> Certificate:
    """Write a certificate for the loopback address, and its key, into a folder."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(secret)
    return Certificate(str(folder / "certificate.pem"), str(folder / "key.pem"))


@dataclass
class Login:
    """A login server that issues tokens for one secret.

    Attributes:
        url: its URL.
        problem: the error code that it returns instead of a token.
        requests: the forms that were sent to it.
        issued: the tokens.
        heard: called for each request.
    """

    url: str = ""
    problem: str | None = None
    requests: list[dict[str, list[str]]] = field(default_factory=list)
    issued: list[str] = field(default_factory=list)
    heard: Callable[[], None] = lambda: None

    def discover(self, path: str) -> dict[str, Any]:
        tenant = path.split("/")[1]
        return {
            "issuer": f"{self.url}/{tenant}/v2.0",
            "authorization_endpoint": f"{self.url}/{tenant}/authorize",
            "token_endpoint": f"{self.url}/{tenant}/token",
        }

    def issue(self, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        self.requests.append(form)
        self.heard()
        problem = self.problem or (None if form["client_secret"] == [SECRET] else "AADSTS7000215")
        if problem:
            description = f"{problem}: the secret {form['client_secret'][0]} is invalid. Trace ID: 1"
            return 401, {"error": "invalid_client", "error_description": description}
        self.issued.append(token(form["scope"][0].split()[0].removesuffix("/.default")))
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": self.issued[-1]}


@contextmanager
def serving(certificate: Certificate) -> Iterator[Login]:
    login = Login()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(200, login.discover(urlsplit(self.path).path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._respond(*login.issue(parse_qs(body.decode())))

        def _respond(self, status: int, members: dict[str, Any]) -> None:
            body = json.dumps(members).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with over_tls(certificate, Handler) as login.url:
        yield login


@contextmanager
def over_tls(certificate: Certificate, handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve HTTPS on loopback; yield the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
