"""Former keys: objects are read with them and never written, and which one fits is told by the header."""

from __future__ import annotations

import hmac
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

import connectors
from connectors import errors
from connectors.formats import FormatName, select
from connectors.formats.auto import LARGEST_GCM
from connectors.secrets import SecretKey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NEW, OLD, OLDER, OTHER = (SecretKey(bytes([number]) * 32) for number in (1, 2, 3, 4))
COMMITTED: list[FormatName] = ["auto", "cobblestone-256"]


def sealed(key: SecretKey, data: bytes = b"37.2", **options: Any) -> bytes:
    out = BytesIO()
    connectors.encrypt(BytesIO(data), out, key, **options)
    return out.getvalue()


@pytest.mark.parametrize("name", COMMITTED)
@pytest.mark.parametrize("key", [NEW, OLD, OLDER])
def test_object_under_any_of_the_keys_is_read(name: str, key: SecretKey) -> None:
    codec = select(name, NEW, former=lambda: [OLD, OLDER])
    data = sealed(key)
    assert codec.decryptor(data[: codec.head_size], len(data)).plain_size == 4


@pytest.mark.parametrize("name", COMMITTED)
def test_object_under_another_key_is_refused(name: str) -> None:
    data = sealed(OTHER)
    codec = select("cobblestone-256", NEW, former=lambda: [OLD, OLDER])
    with pytest.raises(errors.WrongKey):
        codec.decryptor(data[: codec.head_size], len(data))


@pytest.mark.parametrize("name", COMMITTED)
def test_objects_are_written_under_the_new_key_alone(name: str) -> None:
    header = select(name, NEW, former=lambda: [OLD]).encryptor().header
    assert select("cobblestone-256", NEW).decryptor(header, 56 + 16).plain_size == 0
    with pytest.raises(errors.WrongKey):
        select("cobblestone-256", OLD).decryptor(header, 56 + 16)


def test_former_keys_are_not_asked_for_while_the_new_one_fits() -> None:
    asked: list[int] = []

    def former() -> list[SecretKey]:
        asked.append(1)
        return [OLD]

    codec = select("cobblestone-256", NEW, former=former)
    data = sealed(NEW)
    codec.decryptor(data[: codec.head_size], len(data))
    assert not asked
    data = sealed(OLD)
    codec.decryptor(data[: codec.head_size], len(data))
    assert asked


def test_all_former_keys_are_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append(1)
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(
        "connectors.formats.cobblestone.hmac", type("hmac", (), {"compare_digest": staticmethod(compare)})
    )
    codec = select("cobblestone-256", NEW, former=lambda: [OLD, OLDER, OTHER])
    for key in (OLD, OLDER, OTHER):
        compared.clear()
        data = sealed(key)
        compared.clear()
        codec.decryptor(data[: codec.head_size], len(data))
        assert len(compared) == 4


@pytest.mark.parametrize("name", ["gcm", "tink-gcm-hkdf"])
def test_format_without_a_commitment_has_no_former_keys(name: str) -> None:
    with pytest.raises(errors.ConfigError, match="former keys need the format cobblestone-256"):
        select(name, NEW, former=lambda: [OLD])


def test_auto_reads_gcm_under_the_new_key_alone() -> None:
    codec = select("auto", NEW, former=lambda: [OLD])
    data = sealed(NEW, format="gcm")
    assert codec.decryptor(data[: codec.head_size], len(data)).plain_size == 4
    data = sealed(OLD, format="gcm")
    opened = codec.decryptor(data[: codec.head_size], len(data))
    with pytest.raises(errors.IntegrityError, match="or was never sealed"):
        opened.authenticate(lambda ranges: (data[start:stop] for start, stop in ranges))


@pytest.mark.parametrize("key", [NEW, OLD])
def test_dataset_is_read_and_rewritten_after_a_rotation(tmp_path: Path, key: SecretKey) -> None:
    location = f"file://{tmp_path}/conditions"
    (tmp_path / "conditions").write_bytes(sealed(key))
    both = connectors.Dataset(location, {"encryption": {"key": NEW, "former_keys": [OLD]}})
    assert both.read_bytes() == b"37.2"
    both.write_bytes(b"38.9")
    assert connectors.Dataset(location, {"encryption": {"key": NEW}}).read_bytes() == b"38.9"


def test_folder_with_a_manifest_is_read_while_its_keys_change(tmp_path: Path) -> None:
    location = f"file://{tmp_path}/wards/"

    def folder(**encryption: Any) -> Any:
        return connectors.Dataset(location, {"encryption": {"manifest": True, **encryption}}).filesystem()

    fs, path = folder(key=OLD)
    for name in ("north", "south"):
        fs.pipe_file(f"{path}/{name}", name.encode())
    fs, path = folder(key=NEW, former_keys=[OLD])
    assert fs.cat(path, recursive=True) == {f"{path}/north": b"north", f"{path}/south": b"south"}
    fs.pipe_file(f"{path}/south", b"south again")
    fs, path = folder(key=NEW, former_keys=[OLD])
    assert fs.cat(path, recursive=True) == {f"{path}/north": b"north", f"{path}/south": b"south again"}


@pytest.mark.parametrize("size", [LARGEST_GCM + 1, 10 << 30])
def test_auto_tells_a_wrong_key_on_a_large_object_from_its_header(size: int) -> None:
    codec = select("auto", NEW)
    with pytest.raises(
        errors.WrongKey, match=f'of {size} bytes is read as gcm, .* only if the format is named: "format": "gcm"'
    ):
        codec.decryptor(sealed(OTHER)[: codec.head_size], size)


def test_auto_says_that_it_reads_a_whole_object(caplog: pytest.LogCaptureFixture) -> None:
    codec = select("auto", NEW)
    with caplog.at_level("INFO"):
        codec.decryptor(sealed(NEW, format="gcm")[: codec.head_size], LARGEST_GCM)
    assert f"reading all {LARGEST_GCM} bytes to verify them as gcm" in caplog.text


def test_former_key_that_cannot_be_had_is_an_error_only_if_no_other_fits() -> None:
    def former() -> Iterator[SecretKey]:
        yield OLD
        message = "Vault cannot be reached"
        raise errors.KeyUnavailable(message)

    codec = select("cobblestone-256", NEW, former=former)
    data = sealed(OLD)
    assert codec.decryptor(data[: codec.head_size], len(data)).plain_size == 4
    data = sealed(OTHER)
    with pytest.raises(errors.KeyUnavailable, match="Vault cannot be reached"):
        codec.decryptor(data[: codec.head_size], len(data))


@pytest.mark.parametrize("place", [0, 1])
def test_document_reads_with_the_former_keys_that_it_gets(tmp_path: Path, place: int) -> None:
    (tmp_path / "conditions").write_bytes(sealed(OLD))
    former: list[Any] = [OLD]
    former.insert(place, {"source": "file", "path": f"{tmp_path}/missing.hex"})
    document = {"encryption": {"key": NEW, "former_keys": former}}
    assert connectors.Dataset(f"file://{tmp_path}/conditions", document).read_bytes() == b"37.2"
    (tmp_path / "conditions").write_bytes(sealed(OTHER))
    with pytest.raises(errors.ConfigError, match=r"encryption\.former_keys: the key file .* is missing"):
        connectors.Dataset(f"file://{tmp_path}/conditions", document).read_bytes()
