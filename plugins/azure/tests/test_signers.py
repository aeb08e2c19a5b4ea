"""Signed requests are those of Microsoft's own client, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient
from hostile import Answer, Request, hostile_server

from connectors.secrets import SecretText
from connectors.storage import Origin, Unsigned
from connectors.storage import Request as ToSign
from connectors_azure.signers import SharedKeySigner

KEY = "c2VjcmV0IGtleSBvZiB0aGUgYWNjb3VudA=="


def answer(_: Request) -> Answer:
    return Answer(404, {"x-ms-error-code": "BlobNotFound"}, b"")


def use(service: BlobServiceClient) -> list[Any]:
    """Return calls of Microsoft's client, each of which sends a request."""
    blob = service.get_blob_client("ward", "a folder/50%25 of?x=1&y=#ü+'~")
    container = service.get_container_client("ward")
    return [
        blob.get_blob_properties,
        lambda: blob.download_blob(7, 90, etag='"0x1"', match_condition=_only_if_same()),
        lambda: blob.upload_blob(b"sealed", overwrite=False, metadata={"upload": "mark"}, validate_content=True),
        lambda: blob.upload_blob(b"", overwrite=True),
        lambda: blob.stage_block("block", b"sealed", validate_content=True),
        lambda: blob.start_copy_from_url("https://clinic.example/ward/other"),
        lambda: list(container.list_blobs(name_starts_with="a folder/ü", include=["metadata"], results_per_page=7)),
        lambda: list(service.list_containers()),
        blob.delete_blob,
    ]


def _only_if_same() -> Any:
    from azure.core import MatchConditions  # noqa: PLC0415

    return MatchConditions.IfNotModified


@pytest.mark.parametrize("path", ["", "/clinic"])
def test_shared_key_signs_as_microsofts_client(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with hostile_server(answer) as (url, seen):
        account = {"account_name": "clinic", "account_key": KEY}
        with BlobServiceClient(f"{url}{path}", credential=account, retry_total=0) as service:
            calls = use(service)
            for call in calls:
                with pytest.raises(Exception, match=r"."):
                    call()
    assert len(seen) >= len(calls)
    signer = SharedKeySigner("clinic", SecretText(KEY))
    for request in seen:
        headers = dict(request.headers)
        theirs, date = headers.pop("authorization"), headers.pop("x-ms-date")
        monkeypatch.setattr("connectors_azure.signers.email.utils.formatdate", lambda usegmt, date=date: date)
        body = request.body if "content-length" in headers else None
        ours = signer.sign(ToSign(request.method, Origin.of(url), SecretText(request.target), headers, body))
        assert ours.headers["Authorization"] == theirs
        assert ours.headers["x-ms-date"] == date


def test_key_is_not_shown() -> None:
    signer = SharedKeySigner("clinic", SecretText(KEY))
    assert KEY not in f"{signer!r} {vars(signer)} {Unsigned()!r}"
    assert signer.renew() is False
