"""Credentials that expire while an object is written."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE

import connectors
from connectors.errors import CredentialsExpired
from connectors.storage import QuerySigner
from connectors_azure.filesystem import AzureFileSystem
from connectors_azure.store import AzureStore

MIB = 1 << 20
KEY = "0f" * 32
Stored = Callable[[str], bytes | None]
OpenFs = Callable[..., AzureFileSystem]
Sas = Callable[..., dict[str, Any]]
ALL = {"read": True, "write": True, "create": True}


@pytest.mark.parametrize("size", [100, 12 * MIB])
@pytest.mark.parametrize("since", [-1 / 60, -1])
def test_upload_continues_with_renewed_credentials(
    fs: AzureFileSystem, sas: Sas, path: str, stored: Stored, tmp_path: Path, size: int, since: float
) -> None:
    folder = tmp_path / "output" / "result" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"az://{path}")
    sealing = {"encryption": {"key": KEY}}
    (folder / "credentials.bin").write_text(json.dumps({**sas(since, **ALL), **sealing}))
    dataset = connectors.load(tmp_path)["output"]["result"]
    before, data = dataset.filesystem()[0].fs, os.urandom(size)
    with pytest.raises(CredentialsExpired, match="output/result: the .* for .* expired at"):
        dataset.write_bytes(data)
    assert stored(path) is None
    with dataset.open("wb") as file:
        file.write(data)
        (folder / "credentials.bin").write_text(json.dumps({**sas(**ALL), **sealing}))
    assert dataset.filesystem()[0].fs is not before
    assert dataset.read_bytes() == data


def expire(fs: AzureFileSystem) -> None:
    """Make the SAS of a filesystem one that has expired."""
    assert fs.store.account.sas is not None
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    fs.store.signer = QuerySigner(fs.store.account.sas, an_hour_ago, fs.store.account.endpoint)


def test_credentials_that_expire_while_blocks_are_sent_are_renewed_once(
    fs: AzureFileSystem, open_fs: OpenFs, sas: Sas, path: str, stored: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, renewed, started = open_fs(sas(**ALL)), open_fs(sas(**ALL)), [], threading.Barrier(4)
    real = AzureStore.send_part

    def send_part(self: AzureStore, path: str, upload: str, number: int, data: memoryview, *, last: bool) -> str:
        if self is first.store:
            started.wait(PATIENCE)
        return real(self, path, upload, number, data, last=last)

    monkeypatch.setattr(AzureStore, "send_part", send_part)
    sink = first.open_sink(path)

    def renew(before: AzureFileSystem) -> AzureFileSystem:
        renewed.append(before)
        return second

    sink.renew_by(renew)
    expire(first)
    data = os.urandom(30 * MIB)
    sink.write(memoryview(data))
    sink.commit()
    assert renewed == [first]
    assert stored(path) == data


def test_blocks_sent_before_the_renewal_are_part_of_the_object(
    proxy: Any, service: Any, open_fs: OpenFs, sas: Sas, path: str, stored: Stored
) -> None:
    first, second = open_fs(sas(**ALL)), open_fs(sas(**ALL))
    sink = first.open_sink(path, exclusive=True)
    sink.renew_by(lambda _: second)
    data = os.urandom(14 * MIB)
    sink.write(memoryview(data))
    expire(first)
    sink.commit()
    assert stored(path) == data


def test_expired_credentials_without_renewal_write_nothing(
    fs: AzureFileSystem, open_fs: OpenFs, sas: Sas, path: str, stored: Stored
) -> None:
    first = open_fs(sas(**ALL))
    sink = first.open_sink(path)
    sink.renew_by(lambda before: before)
    expire(first)
    with pytest.raises(CredentialsExpired) as caught:
        sink.write(memoryview(bytes(60 * MIB)))
    assert caught.value.__context__ is None
    assert "sig=" not in str(caught.value)
    assert stored(path) is None
