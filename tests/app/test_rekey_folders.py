"""Rekeying a folder: readable at each moment, also after a kill, and at the end under the new key alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from manifests import everything
from places import s3_place
from rekeying import NEW, OLD, OTHER, Counted, document, fill, interrupt_at, stored
from stopped_rekeying import rekey_until_killed

import connectors
from connectors.errors import (
    ConnectorError,
    IntegrityError,
    InvalidCredentials,
    NotSupported,
    ObjectNotFound,
    PinMismatch,
    WrongKey,
)
from connectors.fs.manifest import MANIFEST_NAME

MANIFEST = pytest.mark.parametrize("manifest", [False, True], ids=["no manifest", "manifest"])


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        return tmp_path / "wards"

    @pytest.fixture
    def location(self, folder) -> str:
        return f"file://{folder}/"

    @MANIFEST
    def test_everything_is_under_the_new_key_alone(self, location, folder, manifest):
        plain = fill(location, 150, manifest=manifest)
        old, new = document(OLD, manifest=manifest), document(NEW, manifest=manifest)
        done = connectors.rekey(location, old, new)
        assert (done.rewritten, done.already) == (150, 0)
        assert done.size == sum(map(len, plain.values()))
        dataset = connectors.Dataset(location, new)
        assert everything(dataset) == plain
        assert done.pin == (dataset.fingerprint() if manifest else None)
        before = stored(folder)
        again = connectors.rekey(location, old, new)
        assert (again.rewritten, again.already, again.pin) == (0, 150, done.pin)
        assert stored(folder) == before

    @MANIFEST
    def test_readers_with_both_keys_read_it_at_each_moment(self, location, manifest):
        plain = fill(location, 80, manifest=manifest)
        readers = document(NEW, former_keys=[OLD], manifest=manifest)
        moments = []

        def read() -> None:
            moments.append(everything(connectors.Dataset(location, readers)))

        assert everything(connectors.Dataset(location, readers)) == plain
        connectors.rekey(location, document(OLD, manifest=manifest), readers, callback=Counted(read))
        assert len(moments) > 70
        assert all(moment == plain for moment in moments)

    @MANIFEST
    def test_a_dry_run_changes_nothing(self, location, folder, manifest):
        plain = fill(location, 80, manifest=manifest)
        before = stored(folder)
        old, new = document(OLD, manifest=manifest), document(NEW, manifest=manifest)
        done = connectors.rekey(location, old, new, dry_run=True)
        assert done == connectors.Rekeyed(80, 0, sum(map(len, plain.values())), None)
        assert stored(folder) == before

    @MANIFEST
    def test_a_folder_without_objects_is_an_error(self, location, folder, manifest):
        folder.mkdir()
        old, new = document(OLD, manifest=manifest), document(NEW, manifest=manifest)
        with pytest.raises(ObjectNotFound, match="there are no objects in .*; name the folder as its documents do"):
            connectors.rekey(location, old, new)
        assert stored(folder) == {}

    def test_a_folder_with_a_manifest_is_not_taken_for_one_without(self, location, folder):
        fill(location, 2, manifest=True)
        before = stored(folder)
        with pytest.raises(InvalidCredentials, match='has a _manifest.sealed; set "manifest": true in both documents'):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(folder) == before

    def test_a_link_to_an_object_is_refused(self, location, folder):
        fill(location, 2)
        (folder / "link").symlink_to(next(iter(sorted(path for path in folder.rglob("*") if path.is_file()))))
        before = stored(folder)
        with pytest.raises(NotSupported, match="link is a link, and what it leads to would stay under the old key"):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(folder) == before

    def test_column_keys_are_not_changed_by_the_way(self, location):
        fill(location, 1)
        old, new = document(OLD, columns={"pii": "0c" * 32}), document(NEW, columns={"pii": "0d" * 32})
        with pytest.raises(InvalidCredentials, match="columns must be the same in both documents"):
            connectors.rekey(location, old, new)

    def test_a_manifest_without_objects_gets_the_new_key(self, location):
        fill(location, 1, manifest=True)
        fs, path = connectors.Dataset(location, document(OLD, manifest=True)).filesystem()
        fs.rm(path + "/ward 0", recursive=True)
        done = connectors.rekey(location, document(OLD, manifest=True), document(NEW, manifest=True))
        assert connectors.Dataset(location, document(NEW, manifest=True)).fingerprint() == done.pin

    @MANIFEST
    def test_objects_of_both_keys_become_one(self, location, manifest):
        # As after a change by a writer who has the new key, and reads with the old one.
        plain = fill(location, 20, manifest=manifest)
        writer = connectors.Dataset(location, document(NEW, former_keys=[OLD], manifest=manifest))
        fs, path = writer.filesystem()
        fs.pipe_file(f"{path}/ward 0/0000.csv", b"new")
        done = connectors.rekey(location, document(OLD, manifest=manifest), document(NEW, manifest=manifest))
        assert (done.rewritten, done.already) == (19, 1)
        assert everything(connectors.Dataset(location, document(NEW, manifest=manifest))) == {
            **plain,
            "ward 0/0000.csv": b"new",
        }

    def test_objects_that_are_added_meanwhile_are_rekeyed_too(self, location):
        plain = fill(location, 10)
        fs, path = connectors.Dataset(location, document(OLD)).filesystem()

        def add() -> None:
            if not fs.exists(f"{path}/zzz"):
                fs.pipe_file(f"{path}/zzz", b"late")

        done = connectors.rekey(location, document(OLD), document(NEW), callback=Counted(add))
        assert done.rewritten == 11
        assert everything(connectors.Dataset(location, document(NEW))) == {**plain, "zzz": b"late"}

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ({"format": "gcm", "bind": "none"}, {"bind": "none"}),
            ({"bind": "none"}, {"format": "gcm", "bind": "none"}),
            ({}, {"format": "tink-gcm-hkdf"}),
            ({"format": "tink-gcm-hkdf", "segment_size": 100}, {"context": "trial 7"}),
            ({"manifest": True}, {"format": "tink-gcm-hkdf", "manifest": True}),
            ({"manifest": True}, {"context": "trial 7", "manifest": True}),
        ],
    )
    def test_other_formats_and_contexts_without_readers(self, location, folder, old, new):
        plain = fill(location, 12, **old)
        before, after = document(OLD, **old), document(NEW, **new)
        (folder / "ward 1/0004.csv").rename(folder.parent / "kept")
        with pytest.raises(ConnectorError):  # stopped on the way, or before
            connectors.rekey(location, before, after, callback=Counted(interrupt_at(5)), without_readers=True)
        (folder.parent / "kept").rename(folder / "ward 1/0004.csv")
        done = connectors.rekey(location, before, after, without_readers=True)
        assert done.rewritten + done.already == 12
        assert everything(connectors.Dataset(location, after)) == plain
        sealed = stored(folder)
        assert connectors.rekey(location, before, after, without_readers=True).already == 12
        assert stored(folder) == sealed

    @MANIFEST
    def test_a_damaged_object_stops_the_run_and_is_named(self, location, folder, manifest):
        plain = fill(location, 100, manifest=manifest)
        damaged = folder / "ward 1/0049.csv"
        good = damaged.read_bytes()
        damaged.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        old, new = document(OLD, manifest=manifest), document(NEW, manifest=manifest)
        with pytest.raises(IntegrityError, match=r"^input/wards/ward 1/0049\.csv: "):
            connectors.rekey(location, old, new, name="input/wards")
        damaged.write_bytes(good)
        readers = document(NEW, former_keys=[OLD], manifest=manifest)
        assert everything(connectors.Dataset(location, readers)) == plain
        assert connectors.rekey(location, old, new).rewritten > 0
        assert everything(connectors.Dataset(location, new)) == plain

    @pytest.mark.parametrize("attack", ["removed", "added", "rolled back", "exchanged", "an older manifest"])
    def test_a_folder_that_is_not_its_manifests_is_refused(self, location, folder, attack):
        fill(location, 70, manifest=True)
        old = document(OLD, manifest=True)
        before = stored(folder)
        pin = connectors.Dataset(location, old).fingerprint()
        fs, path = connectors.Dataset(location, old).filesystem()
        fs.pipe_file(f"{path}/ward 0/0000.csv", b"changed")
        if attack == "removed":
            (folder / "ward 0/0000.csv").unlink()
        elif attack == "added":
            (folder / "ward 0/more.csv").write_bytes(b"x" * 100)
        elif attack == "rolled back":
            (folder / "ward 0/0000.csv").write_bytes(before["ward 0/0000.csv"])
        elif attack == "exchanged":
            (folder / "ward 0/0000.csv").write_bytes(before["ward 0/0003.csv"])
        else:
            old["encryption"]["pin"] = connectors.Dataset(location, old).fingerprint()
            assert old["encryption"]["pin"] != pin
            (folder / MANIFEST_NAME).write_bytes(before[MANIFEST_NAME])
        before = stored(folder)
        with pytest.raises(IntegrityError):
            connectors.rekey(location, old, document(NEW, manifest=True))
        assert stored(folder) == before

    def test_versions_before_the_announced_ones_are_refused(self, location, folder):
        plain = fill(location, 100, manifest=True)
        older = stored(folder)
        old, new = document(OLD, manifest=True), document(NEW, manifest=True)
        writer, path = connectors.Dataset(location, old).filesystem()
        writer.pipe({f"{path}/{name}": b"now" for name in plain})
        with pytest.raises(ConnectorError, match="stopped"):
            connectors.rekey(location, old, new, callback=Counted(interrupt_at(90)))
        readers = document(NEW, former_keys=[OLD], manifest=True)
        assert set(everything(connectors.Dataset(location, readers)).values()) == {b"now"}
        announced = [name for name in plain if (folder / name).read_bytes() != older[name]]
        for name in announced[::9]:
            now = (folder / name).read_bytes()
            (folder / name).write_bytes(older[name])
            fs, path = connectors.Dataset(location, readers).filesystem()
            with pytest.raises(PinMismatch, match="is not the object in the folder's manifest"):
                fs.cat_file(f"{path}/{name}")
            with pytest.raises(PinMismatch):
                connectors.rekey(location, old, new)
            (folder / name).write_bytes(now)
        assert connectors.rekey(location, old, new).already > 0

    def test_a_pinned_folder_gets_another_pin(self, location):
        plain = fill(location, 5, manifest=True)
        pin = connectors.Dataset(location, document(OLD, manifest=True)).fingerprint()
        old = document(OLD, manifest=True, pin=pin)
        done = connectors.rekey(location, old, document(NEW, manifest=True))
        assert done.pin != pin
        assert everything(connectors.Dataset(location, document(NEW, manifest=True, pin=done.pin))) == plain
        with pytest.raises(PinMismatch, match="if an earlier run was stopped, say so"):
            connectors.rekey(location, old, document(NEW, manifest=True))
        assert connectors.rekey(location, old, document(NEW, manifest=True), continues=True).already == 5

    def test_a_pinned_folder_that_was_emptied_is_refused(self, location, folder):
        folder.mkdir()
        with pytest.raises(IntegrityError, match="is pinned but has no _manifest.sealed"):
            connectors.rekey(location, document(OLD, manifest=True, pin="0" * 64), document(NEW, manifest=True))

    def test_objects_without_their_manifest_are_refused(self, location, folder):
        fill(location, 3, manifest=True)
        (folder / MANIFEST_NAME).unlink()
        before = stored(folder)
        with pytest.raises(IntegrityError, match="the folder has objects but no"):
            connectors.rekey(location, document(OLD, manifest=True), document(NEW, manifest=True))
        assert stored(folder) == before

    def test_what_is_under_another_key_is_an_error(self, location):
        fill(location, 3)
        with pytest.raises(WrongKey, match="neither the new key nor the old one"):
            connectors.rekey(location, document(OTHER), document(NEW))

    def test_a_link_to_a_folder_is_refused(self, location, folder):
        fill(location, 3)
        (folder / "link").symlink_to(folder / "ward 0")
        before = stored(folder)
        with pytest.raises(NotSupported, match="link is a link, and what it leads to would stay"):
            connectors.rekey(location, document(OLD), document(NEW))
        assert stored(folder) == before

    def test_a_process_that_read_the_manifest_before_refreshes(self, location):
        plain = fill(location, 5, manifest=True)
        reader = connectors.Dataset(location, document(NEW, former_keys=[OLD], manifest=True))
        assert everything(reader) == plain
        connectors.rekey(location, document(OLD, manifest=True), document(NEW, manifest=True))
        with pytest.raises(PinMismatch):
            everything(reader)
        reader.refresh()
        assert everything(reader) == plain


class TestKills:
    @MANIFEST
    @pytest.mark.parametrize(
        ("objects", "kills"), [(120, 5), pytest.param(1000, 50, marks=pytest.mark.slow)], ids=["few", "many"]
    )
    def test_a_killed_run_leaves_a_folder_to_read_and_to_go_on_with(self, tmp_path, objects, kills, manifest):
        location = f"file://{tmp_path}/wards/"
        plain = fill(location, objects, manifest=manifest)
        old, new = document(OLD, manifest=manifest), document(NEW, manifest=manifest)
        readers = document(NEW, former_keys=[OLD], manifest=manifest)
        chance = random.Random(f"{objects} {manifest}")
        for kill in range(kills):
            rekey_until_killed(location, old, new, chance.randrange(objects // kills), kill)
            assert everything(connectors.Dataset(location, readers)) == plain
        counted = connectors.rekey(location, old, new, dry_run=True)
        assert 0 < counted.already < objects, "the kills came on the way"
        done = connectors.rekey(location, old, new)
        assert done.rewritten + done.already == objects
        assert everything(connectors.Dataset(location, new)) == plain


class TestOverANetwork:
    @MANIFEST
    def test_a_folder_on_s3(self, s3, manifest):
        place = s3_place(s3, f"rekeyed-{manifest}/")
        old, new, readers = (
            {**place.document, "encryption": {"manifest": manifest, **encryption}}
            for encryption in ({"key": OLD}, {"key": NEW}, {"key": NEW, "former_keys": [OLD]})
        )
        plain = {f"ward {number % 3}/{number:02}.csv": b"%d" % number * 100 for number in range(40)}
        plain["large"] = random.Random(0).randbytes(18 << 20)
        fs, path = connectors.Dataset(place.location, old).filesystem()
        fs.pipe({f"{path}/{name}": data for name, data in plain.items()})
        damaged = f"rekeyed-{manifest}/ward 1/22.csv"
        good = s3.client().get_object(Bucket="clinic", Key=damaged)["Body"].read()
        s3.client().put_object(Bucket="clinic", Key=damaged, Body=good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(IntegrityError, match=r"ward 1/22\.csv: "):
            connectors.rekey(place.location, old, new)
        s3.client().put_object(Bucket="clinic", Key=damaged, Body=good)
        assert everything(connectors.Dataset(place.location, readers)) == plain
        done = connectors.rekey(place.location, old, new)
        assert done.rewritten + done.already == 41
        assert everything(connectors.Dataset(place.location, new)) == plain
        assert connectors.rekey(place.location, old, new) == connectors.Rekeyed(0, 41, 0, done.pin)
