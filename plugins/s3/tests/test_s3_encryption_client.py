"""Objects of the Amazon S3 Encryption Client, exchanged with the client itself: SeaweedFS stores, moto's KMS wraps."""

from __future__ import annotations

import io
import json
import random
import resource
from typing import Any

import pandas as pd
import pytest
from amazon_client import AmazonClient, ClientError
from kms_server import KmsAccount
from object_keys import CONTEXT, Objects

import connectors
from connectors.errors import (
    ConfigError,
    IntegrityError,
    InvalidCredentials,
    KeyRefused,
    NotSupported,
    ObjectNotFound,
    PinMismatch,
    TruncatedObject,
    WrongKey,
)

MIB = 1 << 20
SIZES = [0, 1, 15, 16, 17, 256 << 10, (256 << 10) + 1, 5 * MIB, 17 * MIB]


def plain_of(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.fixture
def dataset(objects: Objects, path: str) -> connectors.Dataset:
    return objects.dataset(path)


class TestBothWays:
    @pytest.mark.parametrize("size", SIZES)
    def test_client_reads_what_we_write(self, objects: Objects, amazon: AmazonClient, path: str, size: int) -> None:
        objects.dataset(path).write_bytes(plain_of(size))
        assert amazon.get(path, CONTEXT) == plain_of(size)

    @pytest.mark.parametrize("size", SIZES)
    def test_we_read_what_the_client_writes(self, objects: Objects, amazon: AmazonClient, path: str, size: int) -> None:
        amazon.put(path, plain_of(size), CONTEXT)
        assert objects.dataset(path).read_bytes() == plain_of(size)

    def test_parts_are_exchanged(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        plain = plain_of(64 * MIB)
        amazon.put(path, plain, CONTEXT, parts=True)
        assert objects.dataset(path).read_bytes() == plain
        dataset = objects.dataset(f"{path}-ours", part_size=5 * MIB)
        with dataset.open("wb") as file:
            for start in range(0, len(plain), 3 * MIB + 7):
                file.write(plain[start : start + 3 * MIB + 7])
        assert amazon.get(f"{path}-ours", CONTEXT) == plain
        assert objects.dataset(f"{path}-ours").read_bytes() == plain

    def test_no_context_is_the_client_s_default(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        amazon.put(path, b"37.2", {})
        dataset = objects.dataset(path, bound={})
        assert dataset.read_bytes() == b"37.2"
        dataset.write_bytes(b"36.9")
        assert amazon.get(path, {}) == b"36.9"

    @pytest.mark.parametrize("size", [0, 1, 16, 17 * MIB])
    def test_objects_without_commitment_are_read_if_allowed(
        self, objects: Objects, amazon: AmazonClient, path: str, size: int
    ) -> None:
        amazon.put(path, plain_of(size), CONTEXT, "uncommitted")
        with pytest.raises(NotSupported, match='"allow_uncommitted": true'):
            objects.dataset(path).read_bytes()
        allowing = objects.dataset(path, allow_uncommitted=True)
        assert allowing.read_bytes() == plain_of(size)
        allowing.write_bytes(b"36.9")  # always with a commitment
        assert amazon.get(path, CONTEXT) == b"36.9"

    def test_metadata_is_what_the_client_writes(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        objects.dataset(path).write_bytes(b"37.2")
        amazon.put(f"{path}-theirs", b"37.2", CONTEXT)
        ours, theirs = objects.metadata(path), objects.metadata(f"{path}-theirs")
        assert ours.keys() == theirs.keys()
        assert {name: len(value) for name, value in ours.items()} == {
            name: len(value) for name, value in theirs.items()
        }
        assert all(ours[name] == theirs[name] for name in ("x-amz-c", "x-amz-w", "x-amz-t"))
        assert all(ours[name] != theirs[name] for name in ("x-amz-3", "x-amz-d", "x-amz-i"))

    @pytest.mark.slow
    def test_five_gib_are_written_and_read_in_flat_memory(self, objects: Objects, path: str) -> None:
        # Amazon's client would hold all of it in memory.
        block, count = plain_of(64 * MIB), 80
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with objects.dataset(path).open("wb") as file:
            for _ in range(count):
                file.write(block)
        with objects.dataset(path).open() as file:
            assert file.seek(0, io.SEEK_END) == count * len(block)
            file.seek(0)
            for _ in range(count):
                assert file.read(len(block)) == block
            file.seek(3 * len(block) + 17)
            assert file.read(1000) == block[17:1017]
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10  # KiB


class TestReading:
    def test_ranges_are_read(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        plain = plain_of(20 * MIB)
        amazon.put(path, plain, CONTEXT)
        with objects.dataset(path).open() as file:
            for at in (19 * MIB, 0, (256 << 10) - 3, len(plain) - 5, 7 * MIB + 1):
                file.seek(at)
                assert file.read(1000) == plain[at : at + 1000]

    def test_pandas_reads_parquet(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        table = pd.DataFrame({"patient": range(5000), "temperature": [36.0 + one % 30 / 10 for one in range(5000)]})
        written = io.BytesIO()
        table.to_parquet(written)
        amazon.put(path, written.getvalue(), CONTEXT)
        with objects.dataset(path).open() as file:
            pd.testing.assert_frame_equal(pd.read_parquet(file, columns=["temperature"]), table[["temperature"]])

    def test_folder_s_objects_are_files(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        for name in ("one", "two"):
            amazon.put(f"{path}/{name}", name.encode(), CONTEXT)
        with pytest.raises(ConfigError, match='"bind": "none"'):
            objects.dataset(f"{path}/").filesystem()
        fs, root = objects.dataset(f"{path}/", bind="none").filesystem()
        assert {name.rpartition("/")[2]: fs.cat_file(name) for name in fs.find(root)} == {"one": b"one", "two": b"two"}
        fs.pipe_file(f"{root}/three", b"three")
        fs.cp_file(f"{root}/three", f"{root}/four")
        assert amazon.get(f"{path}/three", CONTEXT) == amazon.get(f"{path}/four", CONTEXT) == b"three"

    def test_data_key_is_asked_for_once(
        self, objects: Objects, amazon: AmazonClient, account: KmsAccount, path: str
    ) -> None:
        amazon.put(path, b"37.2", CONTEXT)
        dataset = objects.dataset(path)
        before = account.requests
        assert [dataset.read_bytes() for _ in range(3)] == [b"37.2"] * 3
        assert account.requests == before + 1
        dataset.refresh()
        assert dataset.read_bytes() == b"37.2"
        assert account.requests == before + 2

    def test_small_object_is_one_request(self, objects: Objects, path: str, amazon: AmazonClient) -> None:
        amazon.put(path, b"37.2", CONTEXT)
        dataset, calls = objects.dataset(path), []
        fs, inner = dataset.filesystem()
        client = fs.fs.store.client
        real = client.send
        client.send = lambda request, *busy: calls.append(request.method) or real(request, *busy)
        with fs.open(inner) as file:
            assert file.read() == b"37.2"
        assert calls == ["GET"]

    def test_pin_is_of_one_version(self, objects: Objects, path: str) -> None:
        dataset = objects.dataset(path)
        dataset.write_bytes(b"37.2")
        pinned = objects.dataset(path, pin=dataset.fingerprint())
        assert pinned.read_bytes() == b"37.2"
        dataset.write_bytes(b"37.2")
        with pytest.raises(PinMismatch):
            pinned.read_bytes()


class TestInstructionFiles:
    @pytest.mark.parametrize("algorithm", ["committing", "uncommitted"])
    def test_instruction_file_is_read(self, objects: Objects, amazon: AmazonClient, path: str, algorithm: Any) -> None:
        amazon.put(path, b"37.2", CONTEXT, algorithm)
        stays = {"x-amz-c", "x-amz-d", "x-amz-i"}
        metadata = objects.metadata(path)
        objects.replace(path, metadata={name: value for name, value in metadata.items() if name in stays})
        moved = {name: value for name, value in metadata.items() if name not in stays}
        objects.put(f"{path}.instruction", json.dumps(moved).encode())
        assert amazon.get(path, CONTEXT, algorithm) == b"37.2"  # so it is laid out as the client expects
        assert objects.dataset(path, allow_uncommitted=True).read_bytes() == b"37.2"

    def test_missing_instruction_file_is_told(self, objects: Objects, path: str) -> None:
        objects.put(path, bytes(100))
        with pytest.raises(IntegrityError, match="neither in its metadata nor in a file .instruction beside it"):
            objects.dataset(path).read_bytes()
        with pytest.raises(ObjectNotFound):
            objects.dataset(f"{path}-none").read_bytes()

    @pytest.mark.parametrize("size", [(1 << 16) + 1, 10 * MIB])
    def test_large_instruction_file_is_refused(self, objects: Objects, path: str, size: int) -> None:
        objects.put(path, bytes(100))
        objects.put(f"{path}.instruction", b" " * size)
        with pytest.raises(NotSupported, match="more than 65536 bytes"):
            objects.dataset(path).read_bytes()

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"{", b"\xff", b"{}", b"[" * 60_000, b'{"x-amz-3": 7}', b'{"x-amz-3": "", "other": ""}']
    )
    def test_invalid_instruction_file_is_refused(self, objects: Objects, path: str, data: bytes) -> None:
        objects.put(path, bytes(100))
        objects.put(f"{path}.instruction", data)
        with pytest.raises(IntegrityError, match="the instruction file"):
            objects.dataset(path).read_bytes()

    def test_other_version_in_it_is_refused(self, objects: Objects, amazon: AmazonClient, path: str) -> None:
        amazon.put(path, b"37.2", CONTEXT)
        amazon.put(f"{path}-2", b"37.2", CONTEXT, "uncommitted")
        stays = {"x-amz-c", "x-amz-d", "x-amz-i"}
        objects.replace(path, metadata={name: value for name, value in objects.metadata(path).items() if name in stays})
        objects.put(f"{path}.instruction", json.dumps(objects.metadata(f"{path}-2")).encode())
        with pytest.raises(IntegrityError, match="mixes versions"):
            objects.dataset(path, allow_uncommitted=True).read_bytes()
        with pytest.raises(ClientError):
            amazon.get(path, CONTEXT, "uncommitted")


class TestDocuments:
    def test_other_formats_need_a_wrapped_key(self, objects: Objects) -> None:
        document = objects.document(format="cobblestone-256")
        with pytest.raises(InvalidCredentials, match=r"wrapped.*needs the format s3-encryption-client"):
            _ = connectors.Dataset("s3://clinic/one", document).credentials

    def test_wrapped_key_is_refused(self, objects: Objects) -> None:
        document = objects.document()
        document["encryption"]["key"]["wrapped"] = "AQIC"
        with pytest.raises(InvalidCredentials, match=r"wrapped.*each object has its own key: name only what wraps"):
            _ = connectors.Dataset("s3://clinic/one", document).credentials

    def test_key_in_the_document_is_refused(self, objects: Objects) -> None:
        document = objects.document()
        document["encryption"]["key"] = "0f" * 32
        with pytest.raises(InvalidCredentials, match="each object has its own key") as caught:
            _ = connectors.Dataset("s3://clinic/one", document).credentials
        assert "0f0f" not in str(caught.value)

    @pytest.mark.parametrize(
        ("changes", "rule"),
        [
            ({"former_keys": ["0f" * 32]}, "former_keys: .*each object has its own key"),
            ({"context": "ward"}, "context: .*binds the context of the key"),
            ({"format": "gcm", "key": "0f" * 32, "allow_uncommitted": True}, "allow_uncommitted is for the format"),
            ({"key": {"source": "file", "path": "one.key"}}, "'file' wraps no keys of single objects"),
        ],
    )
    def test_options_of_other_formats_are_refused(self, objects: Objects, changes: dict[str, Any], rule: str) -> None:
        document = objects.document(**changes)
        with pytest.raises(InvalidCredentials, match=rule):
            _ = connectors.Dataset("s3://clinic/one", document).credentials

    @pytest.mark.parametrize("context", [{"": "x"}, {"clinic": "Süd"}, {"aws:x-amz-cek-alg": "115"}, {"a": "b\n"}])
    def test_context_that_the_client_cannot_keep_is_refused(self, objects: Objects, context: dict[str, str]) -> None:
        with pytest.raises(InvalidCredentials, match="context: "):
            _ = objects.dataset("clinic/one", bound=context).credentials

    def test_rekeying_is_refused(self, objects: Objects) -> None:
        other = {**objects.document(), "encryption": {"key": "0f" * 32}}
        for old, new in ((objects.document(), other), (other, objects.document())):
            with pytest.raises(InvalidCredentials, match="keys of their own, and the dataset none to change"):
                connectors.rekey("s3://clinic/one", old, new)

    def test_document_is_written_as_it_was_read(self, objects: Objects) -> None:
        document = objects.document(allow_uncommitted=True)
        written = connectors.Dataset("s3://clinic/one", document).credentials.document()
        assert written["encryption"] == document["encryption"]

    def test_storage_without_metadata_is_refused(self, objects: Objects, tmp_path: Any) -> None:
        document = {"encryption": objects.document()["encryption"]}
        (tmp_path / "one").write_bytes(bytes(100))
        dataset = connectors.Dataset(f"file://{tmp_path}/one", document)
        with pytest.raises(NotSupported, match="s3-encryption-client is for S3 only"):
            dataset.read_bytes()
        with pytest.raises(NotSupported, match="s3-encryption-client is for S3 only"):
            dataset.write_bytes(b"37.2")
        assert (tmp_path / "one").read_bytes() == bytes(100)


class TestChanges:
    @pytest.fixture
    def metadata(self, objects: Objects, path: str) -> dict[str, str]:
        objects.dataset(path).write_bytes(plain_of(1000))
        return objects.metadata(path)

    @pytest.mark.parametrize("at", [0, 500, 999, 1000, 1015])
    @pytest.mark.parametrize("algorithm", ["committing", "uncommitted"])
    def test_changed_byte_is_detected(
        self, objects: Objects, amazon: AmazonClient, path: str, at: int, algorithm: Any
    ) -> None:
        amazon.put(path, plain_of(1000), CONTEXT, algorithm)
        sealed = bytearray(objects.stored(path))
        sealed[at] ^= 1
        objects.replace(path, bytes(sealed))
        with pytest.raises(IntegrityError, match="tag does not verify"):
            objects.dataset(path, allow_uncommitted=True).read_bytes()

    @pytest.mark.parametrize("size", [0, 15, 1015, 1017])
    def test_cut_or_extended_object_is_detected(
        self, objects: Objects, metadata: dict[str, str], path: str, size: int
    ) -> None:
        objects.replace(path, (objects.stored(path) + b"\0")[:size])
        with pytest.raises(TruncatedObject if size < 16 else IntegrityError):
            objects.dataset(path).read_bytes()

    @pytest.mark.parametrize("name", ["x-amz-d", "x-amz-i"])
    def test_changed_commitment_is_told_before_data_is_read(
        self, objects: Objects, metadata: dict[str, str], path: str, name: str
    ) -> None:
        objects.replace(path, metadata={**metadata, name: objects.flipped(metadata[name])})
        with pytest.raises(WrongKey, match="commitment"):
            objects.dataset(path).read_bytes()

    def test_changed_wrapped_key_is_refused(self, objects: Objects, metadata: dict[str, str], path: str) -> None:
        objects.replace(path, metadata={**metadata, "x-amz-3": objects.flipped(metadata["x-amz-3"])})
        with pytest.raises(KeyRefused, match=r"encryption\.key: AWS KMS refuses"):
            objects.dataset(path).read_bytes()

    def test_wrapped_key_of_another_object_is_refused(
        self, objects: Objects, metadata: dict[str, str], path: str
    ) -> None:
        objects.dataset(f"{path}-2").write_bytes(b"37.2")
        objects.replace(path, metadata={**metadata, "x-amz-3": objects.metadata(f"{path}-2")["x-amz-3"]})
        with pytest.raises(WrongKey, match="commitment"):
            objects.dataset(path).read_bytes()

    def test_other_context_is_refused_without_a_request(
        self, objects: Objects, metadata: dict[str, str], account: KmsAccount, path: str
    ) -> None:
        before = account.requests
        for context in ({}, {"dataset": "other"}, {**CONTEXT, "clinic": "south"}):
            with pytest.raises(WrongKey, match="another encryption context"):
                objects.dataset(path, bound=context).read_bytes()
        assert account.requests == before

    def test_context_changed_in_the_metadata_is_refused(
        self, objects: Objects, metadata: dict[str, str], path: str
    ) -> None:
        context = {"dataset": "other", "aws:x-amz-cek-alg": "115"}
        objects.replace(path, metadata={**metadata, "x-amz-t": json.dumps(context)})
        with pytest.raises(KeyRefused):
            objects.dataset(path, bound={"dataset": "other"}).read_bytes()

    def test_downgrade_to_no_commitment_is_refused(self, objects: Objects, metadata: dict[str, str], path: str) -> None:
        context = {**CONTEXT, "aws:x-amz-cek-alg": "AES/GCM/NoPadding"}
        changed = {
            "x-amz-key-v2": metadata["x-amz-3"],
            "x-amz-iv": "AQEBAQEBAQEBAQEB",
            "x-amz-cek-alg": "AES/GCM/NoPadding",
            "x-amz-wrap-alg": "kms+context",
            "x-amz-matdesc": json.dumps(context),
        }
        objects.replace(path, metadata=changed)
        with pytest.raises(KeyRefused):
            objects.dataset(path, allow_uncommitted=True).read_bytes()

    def test_refused_write_leaves_the_object(
        self, objects: Objects, metadata: dict[str, str], account: KmsAccount, path: str
    ) -> None:
        account.allow()
        with pytest.raises(KeyRefused, match=r"encryption\.key: AWS KMS refuses to wrap"):
            objects.dataset(path).write_bytes(b"36.9")
        account.allow("kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey")
        assert objects.dataset(path).read_bytes() == plain_of(1000)
