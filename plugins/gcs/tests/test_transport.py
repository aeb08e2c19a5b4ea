from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from connectors.credentials.model import validate
from connectors.errors import StorageUnavailable
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs


@pytest.fixture
def impostor(private_key: RSAPrivateKey, pem: str, tmp_path: Path) -> Iterator[tuple[str, list[bytes]]]:
    """A TLS server with a self-signed certificate: its URL, and the bytes that it received."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private_key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(private_key, SHA256())
    )
    file = tmp_path / "impostor.pem"
    file.write_bytes(certificate.public_bytes(Encoding.PEM) + pem.encode())
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
    fs = Gcs(validate(GcsCredentials, {"token": "ya29.the-token", "endpoint_url": url, "encryption": None}))
    with pytest.raises(
        StorageUnavailable, match="certificate of the server for gs://clinic/key cannot be verified"
    ) as caught:
        fs.cat_file("clinic/key")
    assert caught.value.__context__ is None
    assert told == []
