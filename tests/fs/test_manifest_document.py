"""The manifest as a document, in the credentials that ask for one, and the command that writes one."""

from __future__ import annotations

import fsspec
import pytest
from command_line import connectors as command
from manifests import KEY, document, lay_down

import connectors
from connectors.errors import ConfigError, IntegrityError, InvalidCredentials, NotSupported
from connectors.fs.manifest import parse_manifest


class TestDocument:
    @pytest.mark.parametrize(
        ("location", "encryption", "message"),
        [
            ("memory://x/", {"bind": "none"}, "manifest: it needs the objects' names bound; leave out"),
            ("memory://x", {}, "manifest: only a folder has one; this dataset is a single object"),
            ("memory://x/", {"manifest": False, "pin": "0" * 64}, 'pin: .* set "manifest": true'),
            ("memory://x/", {"manifest": "yes"}, "manifest: true or false, without quotation marks, is expected"),
        ],
    )
    def test_that_contradicts_itself(self, location, encryption, message):
        with pytest.raises(InvalidCredentials, match=message):
            connectors.Dataset(location, document(**encryption))

    def test_of_a_filesystem_without_a_root(self):
        with pytest.raises(ConfigError, match="pass the folder as root"):
            connectors.EncryptedFileSystem(fs=fsspec.filesystem("memory"), key=KEY, manifest=True)

    def test_without_one_has_no_fingerprint(self, store):
        dataset = connectors.Dataset(f"file://{store}/", document(manifest=False))
        for ask in (dataset.fingerprint, dataset.write_manifest):
            with pytest.raises(NotSupported, match='"manifest": true'):
                ask()

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[]",
            b"{}",
            b'{"schema": "enclave-connectors folder manifest 2", "objects": {}}',
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a": {"size": -1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a": {"size": 1, "pin": "00"}}}',
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a": {"size": 1, "pin": "%s", "next": 1}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"../a": {"size": 1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {"a//b": {"size": 1, "pin": "%s"}}}' % (b"0" * 64),
            b'{"schema": "enclave-connectors folder manifest 1", "objects": {}, "more": 1}',
        ],
    )  # fmt: skip
    def test_that_is_no_manifest(self, data):
        with pytest.raises(IntegrityError, match="is not a valid manifest"):
            parse_manifest(data)


class TestCommand:
    def test_writes_one_for_what_is_there(self, store, tmp_path):
        fs, path = connectors.Dataset(f"file://{store}/", document(manifest=False)).filesystem()
        fs.pipe_file(f"{path}/north.csv", b"37.2")
        lay_down(tmp_path, f"file://{store}/")
        options = ("--app-config", str(tmp_path / "rw"))
        told = command("cat", "dataset://input/wards/north.csv", *options, cwd=tmp_path).error(3)
        assert "write one with `connectors manifest`" in told
        pin = command("manifest", "dataset://input/wards", *options, cwd=tmp_path).text
        assert pin == command("fingerprint", "dataset://input/wards", *options, cwd=tmp_path).text
        assert command("cat", "dataset://input/wards/north.csv", *options, cwd=tmp_path).text == "37.2"
        (store / "south.csv").write_bytes((store / "north.csv").read_bytes())
        assert "the storage lists 'south.csv'" in command("ls", "dataset://input/wards", *options, cwd=tmp_path).error(
            3
        )
        told = command("manifest", "dataset://input/wards", *options, cwd=tmp_path).error(3)
        assert "wrong key or context" in told

    @pytest.mark.parametrize("url", ["input/wards", "dataset://input", "dataset://input/wards/north.csv", "s3://a/b"])
    def test_takes_a_dataset(self, url, tmp_path):
        assert "is not a dataset" in command("manifest", url, cwd=tmp_path).error(2)
