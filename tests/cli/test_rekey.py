"""``connectors rekey``: what it does, prints and refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from app_configs import connect
from command_line import KEY, OTHER_KEY, PLAIN, connectors

import connectors as sdk

URL = "dataset://input/wards"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


class TestFile:
    def test_a_sealed_file_gets_the_new_key(self, home):
        done = connectors("rekey", "sealed", "-K", "key.hex", "--new-key-file", "other.hex", cwd=home)
        assert (done.code, done.err) == (0, "")
        assert connectors("decrypt", "-K", "other.hex", "-in", "sealed", "-out", "-", cwd=home).out == PLAIN
        assert connectors("decrypt", "-K", "key.hex", "-in", "sealed", "-out", "-", cwd=home).code == 3
        pin = connectors("fingerprint", "-K", "other.hex", "sealed", cwd=home).text.strip()
        assert done.text.splitlines() == [
            f"rewritten    1 object, {len(PLAIN)} bytes",
            "already new  0 objects",
            f"pin          {pin}",
            "readers      need the new document, without former_keys; backups are still under the old key",
        ]

    def test_scripts_get_json(self, home):
        words = ["rekey", "sealed", "-K", "key.hex", "--new-key-file", "other.hex", "--json"]
        first = json.loads(connectors(*words, cwd=home).text)
        pin = connectors("fingerprint", "-K", "other.hex", "sealed", cwd=home).text.strip()
        assert first == {"rewritten": 1, "already": 0, "bytes": len(PLAIN), "pin": pin, "dry_run": False}
        again = json.loads(connectors(*words, cwd=home).text)
        assert again == {"rewritten": 0, "already": 1, "bytes": 0, "pin": pin, "dry_run": False}

    def test_the_context_stays(self, home):
        assert connectors("encrypt", "-K", "key.hex", "--context", "ward", "plain", "bound", cwd=home).code == 0
        words = ["rekey", "bound", "-K", "key.hex", "--new-key-file", "other.hex"]
        connectors(*words, cwd=home).error(3)
        assert connectors(*words, "--context", "ward", cwd=home).code == 0
        sdk.decrypt(home / "bound", home / "copy", OTHER_KEY, context=b"ward")
        assert (home / "copy").read_bytes() == PLAIN

    def test_a_link_stays_and_its_file_gets_the_new_key(self, home):
        (home / "link").symlink_to("sealed")
        assert connectors("rekey", "link", "-K", "key.hex", "--new-key-file", "other.hex", cwd=home).code == 0
        assert os.readlink(home / "link") == "sealed"
        sdk.decrypt(home / "sealed", home / "copy", OTHER_KEY)

    def test_a_name_with_odd_letters(self, home):
        (home / "sealed").rename(home / "100%? #ü.sealed")
        words = ["rekey", "100%? #ü.sealed", "-K", "key.hex", "--new-key-file", "-"]
        assert connectors(*words, cwd=home, stdin=OTHER_KEY.encode()).code == 0
        sdk.decrypt(home / "100%? #ü.sealed", home / "copy", OTHER_KEY)

    def test_a_damaged_file_stays(self, home):
        sealed = (home / "sealed").read_bytes()
        (home / "sealed").write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
        before = contents(home)
        connectors("rekey", "sealed", "-K", "key.hex", "--new-key-file", "other.hex", cwd=home).error(3)
        assert contents(home) == before


class TestDataset:
    @pytest.fixture
    def wards(self, home) -> Path:
        """A folder dataset of an app config, with a manifest, and the new document."""
        document = {"encryption": {"key": KEY, "manifest": True}}
        connect(home / "rw", "input", "wards", f"file://{home}/wards/", document)
        fs, path = sdk.load(home / "rw")["input"]["wards"].filesystem()
        fs.pipe({f"{path}/{name}.txt": name.encode() for name in ("north", "south", "east")})
        after = {"encryption": {"key": OTHER_KEY, "manifest": True}}
        (home / "new.json").write_text(json.dumps(after))
        (home / "old.json").write_text(json.dumps(document))
        return home

    def everything(self, home: Path) -> dict[str, bytes]:
        dataset = sdk.Dataset(f"file://{home}/wards/", json.loads((home / "new.json").read_text()))
        fs, path = dataset.filesystem()
        return {Path(name).name: fs.cat_file(name) for name in fs.find(path)}

    def test_a_dataset_of_an_app_config(self, wards):
        done = connectors("rekey", URL, "--to", "new.json", "--app-config", "rw", cwd=wards)
        assert done.code == 0, done.err
        assert "rewritten    3 objects, 14 bytes\n" in done.text
        assert self.everything(wards) == {"north.txt": b"north", "south.txt": b"south", "east.txt": b"east"}
        document = json.loads((wards / "new.json").read_text())
        dataset = sdk.Dataset(f"file://{wards}/wards/", document)
        assert f"pin          {dataset.fingerprint()}\n" in done.text

    def test_a_location_with_two_documents(self, wards):
        words = ["rekey", "--location", f"file://{wards}/wards/", "--from", "old.json", "--to", "-"]
        done = connectors(*words, cwd=wards, stdin=(wards / "new.json").read_bytes())
        assert done.code == 0, done.err
        assert len(self.everything(wards)) == 3

    def test_a_document_in_place_of_the_app_configs(self, wards):
        other = {"encryption": {"key": "00" * 32, "manifest": True}}
        connect(wards / "rw", "input", "other", f"file://{wards}/wards/", other)
        words = ["rekey", "dataset://input/other", "--to", "new.json", "--app-config", "rw"]
        connectors(*words, cwd=wards).error(3)
        done = connectors(*words, "--from", "old.json", cwd=wards)
        assert done.code == 0, done.err

    def test_key_files_are_in_the_app_config(self, wards):
        (wards / "rw/key").write_text(OTHER_KEY)
        (wards / "rw/key").chmod(0o600)
        reference = {"encryption": {"key": {"source": "file", "path": "key"}, "manifest": True}}
        (wards / "reference.json").write_text(json.dumps(reference))
        done = connectors("rekey", URL, "--to", "reference.json", "--app-config", "rw", cwd=wards)
        assert done.code == 0, done.err
        assert len(self.everything(wards)) == 3

    def test_a_dry_run_changes_nothing(self, wards):
        before = contents(wards)
        done = connectors("rekey", URL, "--to", "new.json", "--app-config", "rw", "--dry-run", cwd=wards)
        assert done.text.splitlines() == [
            "to rewrite   3 objects, 14 bytes",
            "already new  0 objects",
            'readers      need from now on: "encryption": {"key": NEW, "former_keys": [OLD], ...}',
        ]
        assert contents(wards) == before

    def test_an_error_names_the_object(self, wards):
        sealed = wards / "wards/north.txt"
        sealed.write_bytes(sealed.read_bytes()[:-1])
        told = connectors("rekey", URL, "--to", "new.json", "--app-config", "rw", cwd=wards).error(3)
        assert told.startswith("input/wards/north.txt: ")

    def test_another_context_needs_a_word_about_readers(self, wards):
        document = {"encryption": {"key": OTHER_KEY, "manifest": True, "context": "trial 7"}}
        (wards / "new.json").write_text(json.dumps(document))
        before = contents(wards)
        words = ["rekey", URL, "--to", "new.json", "--app-config", "rw"]
        assert "--without-readers" in connectors(*words, cwd=wards).error()
        assert contents(wards) == before
        dry = connectors(*words, "--without-readers", "--dry-run", cwd=wards).text
        assert "readers      have no document for the time of the run" in dry
        assert connectors(*words, "--without-readers", cwd=wards).code == 0
        assert len(self.everything(wards)) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name one dataset"),
        (["sealed", "--location", "file:///x"], "name one dataset"),
        ([URL], "name the new credentials document: --to FILE"),
        (["--location", "file:///x", "--to", "new.json"], "--location needs the current credentials document"),
        ([URL, "--to", "new.json", "-K", "key.hex"], "are for a sealed FILE"),
        ([URL, "--from", "-", "--to", "-"], "cannot both come from standard input"),
        (["sealed", "-K", "key.hex"], "needs both keys"),
        (["sealed", "-K", "-", "--new-key-file", "-"], "cannot both come from standard input"),
        (["sealed", "--to", "new.json"], "a FILE has -K and --new-key-file"),
        (["-", "-K", "key.hex", "--new-key-file", "other.hex"], "cannot be standard input"),
        (["s3://clinic/x", "--to", "new.json"], "is a URL: give it as --location"),
        (["sealed", "-K", "key.hex", "--new-key-file", "key.hex"], "there is nothing to change"),
        (["nothing", "-K", "key.hex", "--new-key-file", "other.hex"], "nothing"),
        (["folder", "-K", "key.hex", "--new-key-file", "other.hex"], "folder"),
        (["dataset://input", "--to", "key.hex"], "is not a dataset's URL"),
    ],
)
def test_mistakes_change_nothing(home, words, message):
    before = contents(home)
    assert message in connectors("rekey", *words, cwd=home).error()
    assert contents(home) == before
