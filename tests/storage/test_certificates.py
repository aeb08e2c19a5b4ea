"""Servers whose certificate cannot be verified."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from connectors.errors import StorageUnavailable
from connectors.secrets import SecretText
from connectors.storage import Failure, HttpClient, Origin, Request


@pytest.fixture
def impostor(tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A TLS server with a self-signed certificate: its URL, and the bytes that it received."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An impostor")])
    now, key = datetime.now(UTC), generate_private_key(SECP256R1())
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    file = tmp_path / "impostor.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    told: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    told.append(tls.recv(1000))
            except OSError:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", told
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_server_without_a_valid_certificate_receives_nothing(impostor: tuple[str, list[bytes]]) -> None:
    url, told = impostor
    headers = {"Authorization": "Bearer 5ec2e7"}
    failure = HttpClient("test").send(Request("GET", Origin.of(url), SecretText("/key"), headers))
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, StorageUnavailable)
    assert not failure.transient
    assert "the TLS certificate of localhost" in str(failure.error)
    assert "signed by 'An impostor' according to itself, cannot be verified" in str(failure.error)
    assert failure.error.__context__ is None
    assert not any(told)


def test_file_of_ssl_cert_file_names_the_authorities(
    impostor: tuple[str, list[bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, told = impostor
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "impostor.pem"))
    failure = HttpClient("test").send(Request("GET", Origin.of(url), SecretText("/key")))
    assert isinstance(failure, Failure)  # it sends no response
    assert failure.transient
    assert told[0].startswith(b"GET /key HTTP/1.1\r\n")
