"""Rekeying one object, and the documents that fit together: the old object stays until the new one is proven."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import fsspec
import pytest
from places import presigned_place
from rekeying import NEW, OLD, OTHER, Counted, document, fill, stored

import connectors
from connectors.errors import (
    ConnectorError,
    IntegrityError,
    InvalidCredentials,
    MachineFailed,
    ObjectChanged,
    ObjectNotFound,
    PinMismatch,
)
from connectors.formats.cobblestone import CobblestoneEncryptor
from connectors.streams import PathSink

FORMATS: dict[str, dict[str, Any]] = {
    "auto": {},
    "cobblestone-256": {"format": "cobblestone-256"},
    "context": {"context": "trial 7"},
    "tink": {"format": "tink-gcm-hkdf", "segment_size": 4096},
    "gcm": {"format": "gcm"},
}
SIZES = [0, 1, 16_384, 300_000, 9_000_000]
MEMORY = 96
"""MiB beyond what the imports take."""
MEASURING = """
import connectors

def memory(line):
    with open("/proc/self/status") as status:
        return next(int(text.split()[1]) << 10 for text in status if text.startswith(line))

connectors.rekey({location!r}, {old!r}, {new!r}, dry_run=True)
before = memory("VmRSS")
connectors.rekey({location!r}, {old!r}, {new!r})
print(memory("VmHWM") - before)
"""


class TestObject:
    @pytest.fixture
    def location(self, tmp_path) -> str:
        return f"file://{tmp_path}/conditions.sealed"

    @pytest.mark.parametrize("new", FORMATS)
    @pytest.mark.parametrize("old", FORMATS)
    def test_from_each_format_to_each_other_one(self, location, tmp_path, old, new):
        before, after = document(OLD, **FORMATS[old]), document(NEW, **FORMATS[new])
        for size in SIZES if old != "gcm" else SIZES[:4]:
            plain = random.Random(size).randbytes(size)
            connectors.Dataset(location, before).write_bytes(plain)
            done = connectors.rekey(location, before, after)
            assert (done.rewritten, done.already, done.size) == (1, 0, size)
            assert connectors.Dataset(location, after).read_bytes() == plain
            assert connectors.Dataset(location, after).fingerprint() == done.pin
            sealed = stored(tmp_path)
            again = connectors.rekey(location, before, after)
            assert (again.rewritten, again.already, again.size, again.pin) == (0, 1, 0, done.pin)
            assert stored(tmp_path) == sealed

    def test_the_old_key_reads_it_no_more(self, location):
        connectors.Dataset(location, document(OLD)).write_bytes(b"37.2")
        connectors.rekey(location, document(OLD), document(NEW))
        with pytest.raises(IntegrityError):
            connectors.Dataset(location, document(OLD, format="cobblestone-256")).read_bytes()

    def test_a_dry_run_counts_and_changes_nothing(self, location, tmp_path):
        connectors.Dataset(location, document(OLD)).write_bytes(b"37.2")
        before = stored(tmp_path)
        done = connectors.rekey(location, document(OLD), document(NEW), dry_run=True)
        assert done == connectors.Rekeyed(rewritten=1, already=0, size=4, pin=None)
        assert stored(tmp_path) == before

    def test_former_keys_of_the_old_document_are_read(self, location):
        connectors.Dataset(location, document(OTHER)).write_bytes(b"37.2")
        connectors.rekey(location, document(OLD, former_keys=[OTHER]), document(NEW))
        assert connectors.Dataset(location, document(NEW)).read_bytes() == b"37.2"

    def test_the_readers_document_can_be_the_old_one(self, location):
        # An app config that has it already names the new key first.
        connectors.Dataset(location, document(OLD)).write_bytes(b"37.2")
        done = connectors.rekey(location, document(NEW, former_keys=[OLD]), document(NEW))
        assert done.rewritten == 1
        assert connectors.Dataset(location, document(NEW)).read_bytes() == b"37.2"

    def test_a_pin_is_checked_and_a_new_one_returned(self, location, tmp_path):
        dataset = connectors.Dataset(location, document(OLD))
        dataset.write_bytes(b"37.2")
        pin, rolled_back = dataset.fingerprint(), stored(tmp_path)
        dataset.write_bytes(b"38.9")
        now = stored(tmp_path)
        with pytest.raises(PinMismatch, match="not the object that is pinned"):
            connectors.rekey(location, document(OLD, pin=pin), document(NEW))
        assert stored(tmp_path) == now != rolled_back
        done = connectors.rekey(location, document(OLD, pin=dataset.fingerprint()), document(NEW))
        assert connectors.Dataset(location, document(NEW, pin=done.pin)).read_bytes() == b"38.9"
        with pytest.raises(PinMismatch, match="under the new key already; if an earlier run was stopped, say so"):
            connectors.rekey(location, document(OLD, pin=pin), document(NEW))
        again = connectors.rekey(location, document(OLD, pin=pin), document(NEW), continues=True)
        assert (again.already, again.pin) == (1, done.pin)

    def test_an_object_that_the_storage_exchanges_is_not_taken_for_an_earlier_run(self, location, tmp_path):
        connectors.Dataset(location, document(NEW)).write_bytes(b"forged")
        forged = stored(tmp_path)
        dataset = connectors.Dataset(location, document(OLD))
        dataset.write_bytes(b"37.2")
        pin = dataset.fingerprint()
        (tmp_path / "conditions.sealed").write_bytes(forged["conditions.sealed"])
        with pytest.raises(PinMismatch, match="do not trust the storage"):
            connectors.rekey(location, document(OLD, pin=pin), document(NEW))

    def test_a_pin_can_be_of_the_new_key(self, location):
        dataset = connectors.Dataset(location, document(NEW))
        dataset.write_bytes(b"37.2")
        pin = dataset.fingerprint()
        both = document(NEW, former_keys=[OLD], pin=pin)
        assert connectors.rekey(location, both, document(NEW)).already == 1
        dataset.write_bytes(b"38.9")
        with pytest.raises(PinMismatch):
            connectors.rekey(location, both, document(NEW))

    def test_a_pinned_object_that_is_missing_was_removed(self, location):
        with pytest.raises(IntegrityError):
            connectors.rekey(location, document(OLD, pin="0" * 64), document(NEW))

    def test_a_faulty_machine_leaves_the_old_object(self, location, tmp_path, monkeypatch):
        connectors.Dataset(location, document(OLD)).write_bytes(bytes(6_000_000))
        before = stored(tmp_path)
        encrypt = CobblestoneEncryptor.encrypt

        def flip(encryptor: CobblestoneEncryptor, plain: memoryview, out: memoryview, *, final: bool = False) -> int:
            done = encrypt(encryptor, plain, out, final=final)
            out[0] ^= final
            return done

        monkeypatch.setattr(CobblestoneEncryptor, "encrypt", flip)
        with pytest.raises(MachineFailed, match="does not decrypt to the same bytes"):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(tmp_path) == before

    @pytest.mark.parametrize("at", [0, 30, 20_000, -1])
    def test_a_damaged_object_stays_as_it_is(self, location, tmp_path, at):
        connectors.Dataset(location, document(OLD)).write_bytes(bytes(6_000_000))
        sealed = bytearray((tmp_path / "conditions.sealed").read_bytes())
        sealed[at] ^= 1
        (tmp_path / "conditions.sealed").write_bytes(sealed)
        with pytest.raises(IntegrityError):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(tmp_path) == {"conditions.sealed": bytes(sealed)}

    def test_nothing_is_there(self, location):
        with pytest.raises(ObjectNotFound):
            connectors.rekey(location, document(OLD), document(NEW))

    def test_a_storage_that_returns_something_else_is_an_error(self, location, tmp_path, monkeypatch):
        connectors.Dataset(location, document(OLD)).write_bytes(b"37.2")
        commit = PathSink.commit

        def damage(sink: PathSink) -> None:
            commit(sink)
            (tmp_path / "conditions.sealed").write_bytes(bytes(100))

        monkeypatch.setattr(PathSink, "commit", damage)
        with pytest.raises(IntegrityError, match="the storage does not return what was written to it"):
            connectors.rekey(location, document(OLD), document(NEW))

    def test_what_another_writer_has_written_meanwhile_stays(self, location, tmp_path):
        dataset = connectors.Dataset(location, document(OLD))
        dataset.write_bytes(bytes(6_000_000))
        callback = Counted(lambda: dataset.write_bytes(b"38.9"))
        with pytest.raises(ObjectChanged, match="was replaced while it was being rekeyed"):
            connectors.rekey(location, document(OLD), document(NEW), callback=callback)
        assert dataset.read_bytes() == b"38.9"
        assert list(stored(tmp_path)) == ["conditions.sealed"]

    def test_a_full_disk_leaves_the_old_object(self, location, tmp_path, monkeypatch):
        connectors.Dataset(location, document(OLD)).write_bytes(bytes(6_000_000))
        before = stored(tmp_path)

        def fail(*_: object) -> None:
            raise MachineFailed("the disk is full")

        monkeypatch.setattr(PathSink, "write", fail)
        with pytest.raises(MachineFailed):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(tmp_path) == before

    def test_bytes_are_counted(self, location):
        connectors.Dataset(location, document(OLD)).write_bytes(bytes(6_000_000))
        callback = fsspec.Callback()
        connectors.rekey(location, document(OLD), document(NEW), callback=callback)
        assert callback.value == 6_000_000

    def test_an_object_by_urls_that_each_allow_one_thing(self, s3):
        place = presigned_place(s3, "rekeyed by URLs")
        place.writer().write_bytes(b"37.2")
        location, reading = place.reads
        assert location == place.location
        done = connectors.rekey(
            location,
            {**reading, "encryption": place.document["encryption"]},
            {**place.document, "encryption": {"key": NEW}},
        )
        assert done.rewritten == 1
        assert connectors.Dataset(location, {**reading, "encryption": {"key": NEW}}).read_bytes() == b"37.2"

    @pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is measured as Linux tells it")
    def test_memory_is_flat(self, location):
        with connectors.Dataset(location, document(OLD)).open("wb") as file:
            for _ in range(256):
                file.write(bytes(1 << 20))
        program = MEASURING.format(location=location, old=document(OLD), new=document(NEW))
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert int(done.stdout) < MEMORY << 20

    def test_no_traceback_shows_a_key(self, location):
        connectors.Dataset(location, document(OTHER)).write_bytes(b"37.2")
        for old, new in ((document(OLD), document(NEW)), (document(OLD), document(NEW, pin="0" * 64))):
            with pytest.raises(ConnectorError) as caught:
                connectors.rekey(location, old, new)
            told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            frames = [line for line in told.format() if "test_rekey.py" not in line]
            assert not [key for key in (OLD, NEW) if key in "".join(frames)]


class TestDocuments:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        fill(f"file://{tmp_path}/wards/", 3)
        return tmp_path / "wards"

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ({"encryption": None}, document(NEW), "plain bytes have no key to change"),
            (document(OLD), {"encryption": None}, "plain bytes have no key to change"),
            (document(OLD), {**document(NEW), "layout": "object"}, "make layout the same"),
            (document(OLD), document(NEW, bind="none"), "bind and manifest must be the same"),
            (document(OLD), document(NEW, manifest=True), "bind and manifest must be the same"),
            (document(OLD, manifest=True), document(NEW, manifest=True, pin="0" * 64), "the new document has a pin"),
            (document(OLD), document(OLD), "there is nothing to change"),
            (document(OLD), document(OLD.upper(), context=""), "there is nothing to change"),
            (document(OLD), document(NEW, context="trial 7"), "no document can read all of it"),
            (document(OLD), document(NEW, format="tink-gcm-hkdf"), "no document can read all of it"),
            (document(OLD, bind="none"), document(NEW, bind="none", format="gcm"), "no document can read all of it"),
            (document(OLD), document("0b"), "a key is 64 hexadecimal digits"),
        ],
    )
    def test_those_that_do_not_fit_change_nothing(self, folder, old, new, message):
        before = stored(folder)
        with pytest.raises(InvalidCredentials, match=message):
            connectors.rekey(f"file://{folder}/", old, new)
        assert stored(folder) == before

    def test_a_format_that_binds_no_names_changes_nothing(self, folder):
        before = stored(folder)
        with pytest.raises(connectors.errors.ConfigError, match="cannot bind the names"):
            connectors.rekey(f"file://{folder}/", document(OLD), document(NEW, format="gcm"), without_readers=True)
        assert stored(folder) == before

    def test_key_files_are_below_the_root(self, tmp_path):
        location = f"file://{tmp_path}/conditions.sealed"
        (tmp_path / "app").mkdir()
        for name, key in (("old", OLD), ("new", NEW)):
            (tmp_path / "app" / name).write_text(key)
            (tmp_path / "app" / name).chmod(0o600)
        connectors.Dataset(location, document(OLD)).write_bytes(b"37.2")
        old, new = ({"encryption": {"key": {"source": "file", "path": name}}} for name in ("old", "new"))
        connectors.rekey(location, old, new, root=str(tmp_path / "app"))
        assert connectors.Dataset(location, document(NEW)).read_bytes() == b"37.2"
