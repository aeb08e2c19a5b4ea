"""Credentials that expire while an object is written."""

from __future__ import annotations

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import servers
from hostile import Answer, hostile_server
from patience import PATIENCE

import connectors
from connectors.errors import CredentialsExpired
from connectors.storage import Origin
from connectors_s3 import S3Credentials
from connectors_s3.filesystem import S3

MIB = 1 << 20
Stored = Callable[[str], bytes | None]
Uploads = Callable[[str], list[Any]]


@pytest.mark.parametrize("size", [100, 12 * MIB])
def test_upload_continues_with_renewed_credentials(
    s3: servers.S3Server,
    document: dict[str, Any],
    path: str,
    stored: Stored,
    uploads: Uploads,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: int,
) -> None:
    folder = tmp_path / "output" / "result" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"s3://{path}")
    # The store has no temporary keys, so the error for expired ones is simulated.
    (folder / "credentials.bin").write_text(json.dumps(document))
    dataset = connectors.load(tmp_path)["output"]["result"]
    before = dataset.filesystem()[0].fs
    expired(before, monkeypatch, "PUT", "POST uploadId")
    data = os.urandom(size)
    with pytest.raises(CredentialsExpired, match="output/result: the credentials for .* have expired"):
        dataset.write_bytes(data)
    assert stored(path) is None
    assert uploads(path) == []
    with dataset.open("wb") as file:
        file.write(data)
        (folder / "credentials.bin").write_text(json.dumps({**document, "path_style": True}))
    sealed = stored(path)
    assert sealed is not None
    assert dataset.filesystem()[0].fs is not before
    assert dataset.read_bytes() == data
    assert uploads(path) == []


def expired(fs: S3, monkeypatch: pytest.MonkeyPatch, *calls: str, together: int = 1) -> None:
    """Let S3 say that the session has expired, to `calls` of `fs`; to parts when `together` of them are being sent."""
    real, started = fs.store.client.send, threading.Barrier(together)

    def send(request: Any, *busy: Any) -> Any:
        call = f"{request.method} {request.target.reveal().partition('?')[2].partition('=')[0]}".strip()
        if call not in calls:
            return real(request, *busy)
        if call == "PUT partNumber":
            started.wait(PATIENCE)
        page = b"<Error><Code>ExpiredToken</Code><Message>expired</Message><Token-0>t0ken</Token-0></Error>"
        with hostile_server(lambda _: Answer(400, {"Content-Type": "application/xml"}, page)) as (url, _):
            return real(dataclasses.replace(request, origin=Origin.of(url)))

    monkeypatch.setattr(fs.store.client, "send", send)


def test_credentials_that_expire_while_parts_are_sent_are_renewed_once(
    fs: S3, credentials: S3Credentials, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "PUT partNumber", "POST uploadId", together=4)
    renewed = []

    def renew(before: S3) -> S3:
        renewed.append(before)
        return S3(credentials, part_size=5 << 20)

    data = os.urandom(38 * MIB)
    sink = fs.open_sink(path)
    sink.renew_by(renew)
    sink.write(memoryview(data))
    sink.commit()
    assert renewed == [fs]
    assert stored(path) == data
    assert uploads(path) == []


def test_expired_credentials_without_renewal_leave_nothing(
    fs: S3, path: str, stored: Stored, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "PUT partNumber")
    sink = fs.open_sink(path)
    sink.renew_by(lambda before: before)
    with pytest.raises(CredentialsExpired) as caught:
        sink.write(memoryview(bytes(60 * MIB)))
    assert caught.value.__context__ is None
    assert "t0ken" not in str(caught.value)
    assert stored(path) is None
    assert uploads(path) == []


def test_upload_is_aborted_with_renewed_credentials(
    fs: S3, credentials: S3Credentials, path: str, uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired(fs, monkeypatch, "DELETE uploadId")
    sink = fs.open_sink(path)
    sink.renew_by(lambda _: S3(credentials))
    sink.write(memoryview(bytes(6 * MIB)))
    sink.discard()
    assert uploads(path) == []
