"""Tokens that expire while an object is written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hostile import Answer

import connectors
from connectors.credentials.model import validate
from connectors.errors import AccessDenied, CredentialsExpired
from connectors_gcs import GcsCredentials
from connectors_gcs.filesystem import Gcs

KIB256 = 1 << 18
PATH = "clinic/key"


@pytest.fixture
def renewed(google: Any) -> Gcs:
    """A filesystem with another token, and other chunks."""
    document = {"token": "ya29.the-next-token", "endpoint_url": google.url, "encryption": None}
    return Gcs(validate(GcsCredentials, document))


@pytest.mark.parametrize("size", [100, 17 << 20])
def test_upload_continues_with_renewed_credentials(google: Any, tmp_path: Path, size: int) -> None:
    folder = tmp_path / "output" / "result" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"gs://{PATH}")
    document = {"token": "ya29.the-token", "endpoint_url": google.url, "encryption": {"key": "0f" * 32}}
    (folder / "credentials.bin").write_text(json.dumps(document))
    google.refused.add("ya29.the-token")
    dataset = connectors.load(tmp_path)["output"]["result"]
    data = os.urandom(size)
    with pytest.raises(CredentialsExpired, match="output/result: the token for .* has expired"):
        dataset.write_bytes(data)
    assert google.objects == google.sessions == {}
    with dataset.open("wb") as file:
        (folder / "credentials.bin").write_text(json.dumps({**document, "token": "ya29.the-next-token"}))
        file.write(data)
    assert dataset.read_bytes() == data
    assert all(session["told"] for session in google.sessions.values())


@pytest.mark.parametrize("size", [100, 3 * KIB256 + 5])
def test_token_that_expires_while_an_object_is_written_is_renewed_once(
    strict: Gcs, renewed: Gcs, google: Any, size: int
) -> None:
    asked = []

    def renew(before: Gcs) -> Gcs:
        asked.append(before)
        return renewed

    data = os.urandom(size)
    sink = strict.open_sink(PATH)
    sink.renew_by(renew)
    google.refused.add("ya29.the-token")
    sink.write(memoryview(data))
    sink.commit()
    assert asked == [strict]
    assert google.objects["key"][1] == data


def test_open_upload_needs_no_token(strict: Gcs, google: Any) -> None:
    data = os.urandom(3 * KIB256 + 5)
    sink = strict.open_sink(PATH)
    sink.write(memoryview(data)[: KIB256 + 1])
    google.refused.add("ya29.the-token")
    sink.write(memoryview(data)[KIB256 + 1 :])
    sink.commit()
    assert google.objects["key"][1] == data


def test_open_upload_is_cancelled_without_a_token(strict: Gcs, google: Any) -> None:
    sink = strict.open_sink(PATH)
    sink.write(memoryview(bytes(KIB256 + 1)))
    google.refused.add("ya29.the-token")
    sink.discard()
    assert google.objects == google.sessions == {}


def test_expired_token_without_renewal_leaves_nothing(strict: Gcs, google: Any) -> None:
    sink = strict.open_sink(PATH)
    sink.renew_by(lambda before: before)
    google.refused.add("ya29.the-token")
    with pytest.raises(CredentialsExpired) as caught:
        sink.write(memoryview(bytes(KIB256 + 1)))
    assert caught.value.__context__ is None
    assert "ya29" not in str(caught.value)
    assert google.objects == google.sessions == {}


@pytest.mark.parametrize("takes", [0, KIB256, None])
def test_chunk_that_failed_is_sent_again_from_where_it_stopped(strict: Gcs, google: Any, takes: int | None) -> None:
    store = strict.store
    upload = store.start_upload(PATH, exclusive=False)
    data = memoryview(os.urandom(2 * KIB256 + 5))
    google.takes = takes
    google.losing = {"PUT chunk": (1, True)}
    google.answering["PUT question"] = [Answer(403)]
    with pytest.raises(AccessDenied):
        store.send_part(PATH, upload, 1, data[: 2 * KIB256], last=False)
    google.takes = None
    store.send_part(PATH, upload, 1, data[: 2 * KIB256], last=False)
    store.send_part(PATH, upload, 2, data[2 * KIB256 :], last=True)
    assert google.objects["key"][1] == data
    assert upload.size == len(data)
