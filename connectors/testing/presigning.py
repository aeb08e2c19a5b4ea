"""The contract of presigned URLs."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import connectors
from connectors.errors import ConfigError, ConnectorError
from connectors.testing.tools import CHUNK, KEY, Contract, leaks, plain, resolved, sealed

if TYPE_CHECKING:
    from connectors.testing.store import Connection, Store

__all__ = ["PresignContract"]


def presign(connection: Connection, method: str, expires: int = 600) -> str:
    """Return a URL signed by the backend."""
    backend, credentials = resolved(connection)
    return backend.presign(connection.location, credentials, method, expires)


def behind(url: str) -> connectors.Dataset:
    """Return the sealed dataset behind a signed URL, with the query in its credentials document."""
    location, _, query = url.partition("?")
    encoded = base64.b64encode(query.encode()).decode()
    document: dict[str, Any] = {"query_string": encoded, "encryption": {"key": KEY}}
    return connectors.Dataset(location, document)


class PresignContract(Contract):
    """The contract of presigned URLs. Needs the distribution ``enclave-connectors-https``."""

    def test_a_url_to_get_reads_and_does_not_write(self, store: Store, name: str) -> None:
        store.put(name, before := sealed(plain(5 * CHUNK)))
        url = presign(store.connection(name), "GET")
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - our own store
            assert answer.read() == before
        assert behind(url).read_bytes() == plain(5 * CHUNK)

    def test_a_url_to_put_writes(self, store: Store, name: str) -> None:
        given = behind(presign(store.connection(name, write=True), "PUT"))
        given.write_bytes(b"37.2")
        given.write_bytes(b"38.9")
        stored = store.get(name)
        assert stored is not None
        assert behind(presign(store.connection(name), "GET")).read_bytes() == b"38.9"

    def test_presigned_url_of_a_special_name(self, store: Store, name: str) -> None:
        odd = f"{name}/50% of Süd #1?"
        store.put(odd, sealed(b"37.2"))
        assert behind(presign(store.connection(odd), "GET")).read_bytes() == b"37.2"

    def test_presigned_url_has_an_expiry_time(self, store: Store, name: str) -> None:
        given = behind(presign(store.connection(name), "GET", expires=600))
        assert given.credentials.expires_at is not None

    @pytest.mark.parametrize(("method", "expires"), [("DELETE", 600), ("GET", 0), ("GET", -1)])
    def test_what_cannot_be_signed_is_refused(self, store: Store, name: str, method: str, expires: int) -> None:
        with pytest.raises(ConnectorError):
            presign(store.connection(name), method, expires)

    def test_a_folder_is_not_signed(self, store: Store, name: str) -> None:
        connection = store.connection(f"{name}/")
        with pytest.raises(ConfigError):
            presign(connection, "GET")

    def test_the_account_s_secrets_are_not_in_the_url(self, store: Store, name: str) -> None:
        connection = store.connection(name)
        account = connectors.Dataset(connection.location, {**connection.document, "encryption": None})
        assert leaks(account, presign(connection, "GET")) == []
