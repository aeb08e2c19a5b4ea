"""Marked secrets do not appear in anything that the library, and the libraries below it, expose.

Each storage is used in every way that it supports, successfully and not. Then the marks are searched for, in every
spelling, in all logs at every level, in errors and the variables of their traceback frames, in the repr, the pickles
and the JSON of objects, and in the files on disk.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import marked
import pytest
import watching
from canaries import Canaries
from fsspec.implementations.local import LocalFileSystem
from marked import NAMES, Way

import connectors
from connectors.app.protocol import DatasetFileSystem
from connectors.errors import ConnectorError

PLAIN = bytes(range(256)) * 150
KNOWN_TO_HOLD = {"fsspec/spec.py:__call__"}
"""Library frames that hold their arguments: here the key of ``EncryptedFileSystem(fs=…, key=…)``, if it is not a
`SecretKey`, which prints as a mask there too."""
NOT_FOUND = "none is found"
CONTEXT = "context-" + secrets.token_urlsafe(20)


@pytest.fixture(scope="module")
def gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Google Cloud Storage emulator with a bucket called ``marked``."""
    with marked.gcs_emulator(tmp_path_factory) as url:
        yield url


@pytest.fixture(params=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    """A way to access a storage; all files that it writes are below the test's folder."""
    with marked.open_way(request.param, request, tmp_path) as way:
        for name in ("tmp", "here"):
            (tmp_path / name).mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
        monkeypatch.chdir(tmp_path / "here")
        # These only shorten waits.
        monkeypatch.setattr("connectors.storage.RetryPolicy.attempts", 2)
        monkeypatch.setattr("connectors.storage.RetryPolicy.first_pause", 0.001)
        monkeypatch.setattr("connectors_sftp.sessions.FIRST_PAUSE", 0.001)
        yield way


class Use:
    """Uses one way to access a storage, and keeps the errors, objects and headers.

    Attributes:
        errors: one error for each attempt that must fail.
        objects: objects that a program holds.
        headers: what was sent to a server that redirects, except the headers that are meant to hold secrets.
    """

    def __init__(self, way: Way, folder: Path) -> None:
        self.way = way
        self.folder = folder
        self.errors: list[BaseException] = []
        self.objects: list[object] = []
        self.headers: list[str] = []
        key = way.marks["key"]
        assert isinstance(key, bytes)
        self._sealing = {"key": key.hex(), "context": CONTEXT}

    def document(self, members: dict[str, Any], **sealing: Any) -> dict[str, Any]:
        return {**members, "encryption": {**self._sealing, **sealing}}

    def dataset(self, members: dict[str, Any], location: str | None = None, **sealing: Any) -> connectors.Dataset:
        made = connectors.Dataset(location or self.way.location, self.document(members, **sealing))
        self.objects += [made, made.credentials, made.credentials.encryption, made.backend]
        return made

    def fails(self, attempt: Callable[[], object]) -> None:
        """Check that an attempt fails, and keep its error."""
        with pytest.raises(ConnectorError) as caught:
            attempt()
        self.errors.append(caught.value)

    # What succeeds.

    def write_and_read(self) -> None:
        writing, reading = self.dataset(self.way.writes), self.dataset(self.way.reads)
        with writing.open("wb") as writer:
            self.objects.append(writer)
            writer.write(PLAIN)
        assert reading.read_bytes() == PLAIN
        with reading.open("rb") as reader:
            reader.seek(-10, 2)
            assert reader.read() == PLAIN[-10:]
            self.objects += [reader, reader.raw]
        reading.download("copy")
        writing.upload("copy")
        reading.fingerprint()
        reading.refresh()
        fs, path = reading.filesystem()
        assert fs.size(path) == len(PLAIN)
        self.objects += [fs, fs.fs, fs.open(path), connectors.open_reader(Path("copy.sealed"), self._seal_copy())]
        with suppress(RuntimeError), writing.open("wb") as writer:
            writer.write(PLAIN)
            raise RuntimeError

    def _seal_copy(self) -> str:
        digits: str = self._sealing["key"]
        connectors.encrypt("copy", "copy.sealed", digits)
        return digits

    def use_folder(self) -> None:
        folder = self.dataset(self.way.writes, self.way.folder, manifest=True)
        fs, path = folder.filesystem()
        with fs.transaction:
            for name in ("north", "east/south"):
                fs.pipe_file(f"{path}/{name}", PLAIN)
        again = self.dataset(self.way.reads, self.way.folder, manifest=True)
        fs, path = again.filesystem()
        assert len(fs.find(path)) == 2
        assert fs.cat_file(f"{path}/north", 5, 9) == PLAIN[5:9]
        again.write_manifest()
        self.fails(lambda: fs.cat_file(f"{path}/west"))
        self.objects += [fs, fs.fs]

    def use_app_config(self) -> None:
        root = self.folder / "app"
        folder = root / "input" / "one" / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(self.way.location)
        (folder / "credentials.bin").write_text(json.dumps(self.document(self.way.reads)))
        app = connectors.load(root)
        dataset = app["input"]["one"]
        assert dataset.read_bytes() == PLAIN
        files = DatasetFileSystem(str(root))
        assert files.cat_file("input/one") == PLAIN
        self.objects += [app, app["input"], dataset, files]
        for broken in self.broken_texts():
            (folder / "credentials.bin").write_text(broken)
            self.fails(connectors.load(root)["input"]["one"].read_bytes)
        (folder / "credentials.bin").unlink()

    def presign(self) -> None:
        dataset = self.dataset(self.way.reads)
        for method in ("GET", "PUT"):
            dataset.backend.presign(dataset.location, dataset.credentials, method, 60)
        for method, expires in (("POST", 60), ("GET", 10**9)):
            self.fails(lambda m=method, e=expires: dataset.backend.presign(dataset.location, dataset.credentials, m, e))

    # What fails.

    def open_with_another_key(self) -> None:
        other = self.way.marks["another key"]
        assert isinstance(other, bytes)
        for sealing in (
            {"key": other.hex()},
            {"context": "another"},
            {"format": "gcm", "context": None},
            {"pin": "00" * 32},
        ):
            self.fails(self.dataset(self.way.reads, **sealing).read_bytes)

    def use_a_wrong_secret(self) -> None:
        location, members = self.way.wrong or ("", {})
        self.fails(self.dataset(members, location).read_bytes)
        self.fails(lambda: self.dataset(members, location).write_bytes(PLAIN))

    def use_expired_credentials(self) -> None:
        assert self.way.expired is not None
        self.fails(self.dataset(self.way.expired).read_bytes)
        self.fails(lambda: self.dataset(self.way.expired or {}).write_bytes(PLAIN))

    def read_a_missing_object(self) -> None:
        location = f"{self.way.location}-none"
        self.fails(self.dataset(self.way.reads, location).read_bytes)

    def read_tampered_objects(self) -> None:
        plain = {**self.way.writes, "encryption": None}
        sealed = connectors.Dataset(self.way.location, {**self.way.reads, "encryption": None}).read_bytes()
        for data in (sealed[:-1], sealed[:30_000] + bytes([sealed[30_000] ^ 1]) + sealed[30_001:], sealed[1:], b""):
            connectors.Dataset(self.way.location, plain).write_bytes(data)
            self.fails(self.dataset(self.way.reads).read_bytes)
        connectors.Dataset(self.way.location, plain).write_bytes(sealed)

    def use_an_unreachable_server(self) -> None:
        location, members = self.way.unreachable or ("", {})
        self.fails(self.dataset(members, location).read_bytes)
        self.fails(lambda: self.dataset(members, location).write_bytes(PLAIN))

    def get_secrets_echoed(self) -> None:
        assert self.way.elsewhere is not None
        for status in (400, 403, 404):
            with marked.echo(status) as (url, _):
                location, members = self.way.elsewhere(url)
                self.fails(self.dataset(members, location).read_bytes)
                self.fails(lambda: self.dataset(members, location).write_bytes(PLAIN))  # noqa: B023 - at once

    def get_redirected(self) -> None:
        """Get redirected; nothing may be sent to the other server, and no request has a Referer header."""
        assert self.way.elsewhere is not None
        with marked.echo(403) as (other, received), ExitStack() as running:
            for status in (301, 307):
                for write in (False, True):
                    url, requests = running.enter_context(marked.echo(status, Location=f"{other}/else/where"))
                    dataset = self.dataset(*reversed(self.way.elsewhere(url)))
                    self.fails(partial(dataset.write_bytes, PLAIN) if write else dataset.read_bytes)
                    assert requests
                    self.headers += [
                        f"{name}: {value}"
                        for request in requests
                        for name, value in request.headers.items()
                        if name not in ("authorization", "x-amz-security-token")
                    ]
                    assert not any("referer" in request.headers for request in requests)
            assert received == []

    def give_broken_documents(self) -> None:
        for document in self.broken():
            for given in (document, json.dumps(document), json.dumps(document).encode()):
                self.fails(lambda given=given: connectors.Dataset(self.way.location, given))
        for text in self.broken_texts():
            self.fails(lambda text=text: connectors.Dataset(self.way.location, text))
        for location in ("nowhere", f"{self.way.location}?{'x' * 5}\n", f"unknown://{'x' * 9}"):
            self.fails(lambda where=location: self.dataset(self.way.reads, where).filesystem())
        digits = self._sealing["key"]
        for key in (digits[:-1], f"0x{digits}", [digits], digits.encode(), f'"{digits}"'):
            self.fails(lambda key=key: connectors.EncryptedFileSystem(fs=LocalFileSystem(), key=key))
            self.fails(lambda key=key: connectors.SecretKey(key))
            self.fails(lambda key=key: connectors.open_reader(Path("none"), key))
        self.fails(lambda: connectors.open_writer(Path("none"), digits, format="aes"))
        self.fails(lambda: connectors.encrypt(Path("none"), Path("none"), digits))
        self.fails(lambda: connectors.decrypt(Path("none"), Path("none"), digits, pin="x"))

    def broken(self) -> Iterator[dict[str, Any]]:
        """Yield documents with one mistake each."""
        whole = self.document(self.way.reads)
        digits = self._sealing["key"]
        for name, value in whole.items():
            if isinstance(value, str) and name not in ("username", "host_key"):
                rest = {one: given for one, given in whole.items() if one != name}
                yield {**rest, f"{name}x": value}
                yield {**rest, name: [value]}
                yield {**rest, name: {value: value}}
                if name not in ("password", "passphrase", "private_key"):  # which are checked when they are used
                    yield {**rest, name: f"{value}\n\x00"}
        for key in (digits[:-1], f"0x{digits}", [digits], {digits: digits}, f'"{digits}"', f"{digits}{digits}"):
            yield self.document(self.way.reads, key=key)
        yield {**whole, "key": digits}
        yield {**self.way.reads, "encryption": digits}
        yield {**self.way.reads, "encryption": [digits]}
        yield {**self.way.reads, "encryption": {"kye": digits}}
        yield {**self.way.reads, "encryption": {digits: digits}}
        yield {**whole, "type": digits}
        yield {**whole, "layout": digits}
        yield {**whole, "encryption": {**whole["encryption"], "pin": digits, "manifest": digits, "format": digits}}

    def broken_texts(self) -> Iterator[str]:
        """Yield documents with typical mistakes of manual editing."""
        text = json.dumps(self.document(self.way.reads))
        yield text[:-1]
        yield text[:-1] + ",}"
        yield text.replace('"', "'")
        yield text.replace('"', "“")
        yield f"[{text}]"
        yield text[:-1] + f', "encryption": {json.dumps(self._sealing)}' + "}"
        yield text + text

    def scenarios(self) -> list[Callable[[], None]]:
        way = self.way
        possible = [
            (self.write_and_read, True),
            (self.use_folder, way.folder),
            (self.use_app_config, True),
            (self.presign, way.presigns),
            (self.open_with_another_key, True),
            (self.use_a_wrong_secret, way.wrong),
            (self.use_expired_credentials, way.expired),
            (self.read_a_missing_object, True),
            (self.read_tampered_objects, True),
            (self.use_an_unreachable_server, way.unreachable),
            (self.get_secrets_echoed, way.elsewhere),
            (self.get_redirected, way.elsewhere),
            (self.give_broken_documents, True),
        ]
        return [scenario for scenario, available in possible if available]


def test_no_secret_is_visible(way, tmp_path, tally):
    marks = {**way.marks, "another key": secrets.token_bytes(32)}
    canaries, all_canaries = Canaries(marks), Canaries({**marks, "context": CONTEXT})
    use = Use(replace(way, marks=marks), tmp_path)
    logged: dict[str, list[str]] = {}
    failed: dict[str, list[BaseException]] = {}
    for scenario in use.scenarios():
        name = scenario.__name__
        use.errors = []
        new_session = scenario in (use.use_a_wrong_secret, use.read_a_missing_object)
        with watching.everything_logged(packets=new_session) as logged[name]:
            scenario()
        failed[name] = use.errors

    _search(use, logged, failed, partial(tally, against=way.name), canaries, all_canaries)
    left = watching.files_below(tmp_path / "tmp", tmp_path / "here")
    assert sorted(Path(path).name for path in left) == ["copy", "copy.sealed"]
    with tally("marked secrets, in remaining files", way.name) as cases:
        for path, data in left.items():
            all_canaries.check(path, [data])
            cases.count(NOT_FOUND)


def _search(
    use: Use,
    logged: dict[str, list[str]],
    failed: dict[str, list[BaseException]],
    tally: Callable[..., Any],
    canaries: Canaries,
    all_canaries: Canaries,
) -> None:
    with tally("marked secrets, in all logs, at every level") as cases:
        for name, texts in logged.items():
            for text in texts:
                all_canaries.check(f"logs of {name}, by {text.partition(':')[0]},", [text])
            cases.count(NOT_FOUND)
    with tally("marked secrets, in error messages") as cases:
        for name, errors in failed.items():
            for error in errors:
                all_canaries.check(f"errors of {name}", watching.texts_of(error))
                cases.count(NOT_FOUND)
    with tally("marked secrets, in the variables of traceback frames") as cases:
        for name, errors in failed.items():
            for error in errors:
                for where, text in watching.frames_of(error):
                    if where not in KNOWN_TO_HOLD:
                        canaries.check(f"variables of {name}, in {where},", [text])
                cases.count(NOT_FOUND)
    with tally("marked secrets, in objects: repr, attributes, pickles, JSON") as cases:
        canaries.check("all reachable objects", watching.printed(*use.objects))
        for kind, one in {type(one): one for one in use.objects}.items():
            canaries.check(f"serialised forms of a {kind.__name__}", watching.serialised(one))
            cases.count(NOT_FOUND)
    all_canaries.check("headers", use.headers)
