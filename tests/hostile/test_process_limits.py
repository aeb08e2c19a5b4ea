"""Descriptors, threads or memory run out: the right bytes or one of our errors, no partial object, no hang."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import COMMAND as COMMAND_LINE
from dying import content
from patience import PATIENCE
from places import KEY, SOME, Place, place_on
from starving import few_descriptors, few_threads

import connectors
from connectors import runner
from connectors.errors import ConnectorError
from connectors.testing.tools import in_child

SIZE = 9 << 20
OLD = b"the old object"


def read_in_pieces(dataset: connectors.Dataset) -> bytes:
    with dataset.open("rb") as file:
        pieces = [file.read(1 << 20)]
        while piece := file.read(3 << 20):
            pieces.append(piece)
    return b"".join(pieces)


def ranges(dataset: connectors.Dataset) -> bytes:
    fs, path = dataset.filesystem()
    starts = range(0, SIZE, 1 << 20)
    return b"".join(
        fs.cat_ranges([path] * len(starts), list(starts), [start + (1 << 20) for start in starts], on_error="raise")
    )


READS = {"in pieces": read_in_pieces, "by ranges": ranges}


def place_of(kind: str, fixture, name: str) -> Place:
    if kind != "memory":
        return place_on(kind, fixture, name)
    at = f"memory://limits/{name}", {"encryption": {"key": KEY}}
    return Place(*at, at, list, lambda: None)


@pytest.fixture(autouse=True)
def loaded(monkeypatch):
    """Import and create in advance what is loaded at first use: it needs descriptors too, and is not under test."""
    tempfile.gettempdir()
    monkeypatch.setattr("connectors.storage.RetryPolicy.attempts", 2)  # each attempt is refused alike
    monkeypatch.setattr("connectors.storage.RetryPolicy.first_pause", 0.001)
    dataset = connectors.Dataset("memory://limits/loaded", {"encryption": {"key": KEY}})
    dataset.write_bytes(b"37.2")
    dataset.read_bytes()


@pytest.mark.parametrize("kind", [*SOME, "memory"])
def test_reading_at_the_descriptor_limit(kind, request, tally):
    place = place_of(kind, request.getfixturevalue, "starved-reader")
    plain = content(SIZE, 3)
    place.writer().write_bytes(plain)
    assert place.reader().read_bytes() == plain
    with tally(
        "the limit on open files is reached, while reading", kind, outcome="the right bytes, or one of our errors"
    ) as cases:
        for read in READS.values():
            for count in (0, 1, 2, 4):
                dataset = place.reader()
                with few_descriptors(count):
                    cases.read(lambda dataset=dataset, read=read: read(dataset), plain)
                assert dataset.read_bytes() == plain  # once descriptors are available


@pytest.mark.parametrize("kind", [*SOME, "memory"])
def test_writing_at_the_descriptor_limit(kind, request, tally):
    place = place_of(kind, request.getfixturevalue, "starved-writer")
    place.writer().write_bytes(OLD)
    with tally(
        "the limit on open files is reached, while writing",
        kind,
        outcome="the new object, or one of our errors and the old object",
    ) as cases:
        for size in (1000, SIZE):
            for count in (0, 1, 2, 4):
                dataset, plain = place.writer(), content(size, count)
                try:
                    with few_descriptors(count):
                        dataset.write_bytes(plain)
                except ConnectorError as error:
                    assert place.reader().read_bytes() == OLD
                    cases.count(type(error).__name__)
                else:
                    assert place.reader().read_bytes() == plain
                    cases.count("written")
                dataset.write_bytes(OLD)
                assert place.left() == [] or kind == "Azure"  # which deletes uncommitted blocks itself, after a week


def first_request(location: str, document: dict) -> str:
    """Use S3 for the first time in this process, without threads."""
    with few_threads(lambda _: False):
        return connectors.Dataset(location, document).read_bytes().decode()


def test_the_first_s3_request_needs_no_thread(request, tally):
    place = place_on("S3", request.getfixturevalue, "starved-first")
    place.writer().write_bytes(OLD)
    with tally("the limit on threads is reached", "S3, before its first request") as cases:
        assert in_child("fork", first_request, *place.reads) == OLD.decode()
        cases.count("the right bytes")


def app_config(folder: Path) -> connectors.AppConfig:
    """Return an app config with an input and an output in local files."""
    connectors.encrypt(io.BytesIO(content(1 << 20, 1)), folder / "in", KEY)
    connectors.encrypt(io.BytesIO(OLD), folder / "out", KEY)
    for port, name in (("input", "in"), ("output", "out")):
        place = folder / "app" / port / name / "dataset"
        place.mkdir(parents=True)
        (place / "location.txt").write_text((folder / name).as_uri())
        (place / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    return connectors.load(folder / "app")


def output(folder: Path) -> bytes:
    with connectors.open_reader(folder / "out", KEY) as file:
        return file.read()


COMMAND = [sys.executable, "-S", "-c", "print('x' * 100000)"]


def test_running_a_command_at_the_descriptor_limit(tmp_path, tally):
    app = app_config(tmp_path)
    runner.run(app, COMMAND)
    with tally(
        "the limit on open files is reached",
        "running a command",
        outcome="a result, or one of our errors and the old result",
    ) as cases:
        for count in range(24):
            connectors.encrypt(io.BytesIO(OLD), tmp_path / "out", KEY)
            try:
                with few_descriptors(count):
                    runner.run(app, COMMAND)
            except ConnectorError as error:
                assert output(tmp_path) == OLD
                cases.count(type(error).__name__)
            else:
                assert runner.read_result(io.BytesIO(output(tmp_path))).stdout == b"x" * 100_000 + b"\n"
                cases.count("a result")
        assert cases.outcomes["a result"]
        assert cases.outcomes["MachineFailed"]


THREADS: dict[str, Callable[[int], bool]] = {
    "none": lambda _: False,
    "all but the first": lambda count: count > 0,
    "one": lambda count: count < 1,
    "every other one": lambda count: count % 2 == 1,
    "three": lambda count: count < 3,
}


@pytest.mark.parametrize("kind", [*SOME, "memory"])
def test_reading_and_writing_at_the_thread_limit(kind, request, tmp_path, tally):
    place = place_of(kind, request.getfixturevalue, "starved-threads")
    place.writer().write_bytes(OLD)  # the S3 client thereby starts the one thread that it needs
    place.reader().read_bytes()
    plain = content(SIZE, 4)
    with tally(
        "the limit on threads is reached", kind, outcome="the right bytes, written and read without threads"
    ) as cases:
        for allows in list(THREADS.values())[: 2 if kind == "S3" else None]:
            with few_threads(allows) as requested:
                with place.writer().open("wb") as file:
                    for start in range(0, SIZE, 700_000):
                        file.write(plain[start : start + 700_000])
                for read in READS.values():
                    assert cases.read(lambda read=read: read(place.reader()), plain) == "the right bytes"
            assert requested, "no thread was requested"
            assert place.reader().read_bytes() == plain
            place.writer().write_bytes(OLD)
    place.tidy()


def test_files_and_folders_at_the_thread_limit(tmp_path, tally):
    plain = content(SIZE, 6)
    (tmp_path / "plain").write_bytes(plain)
    folder = connectors.Dataset(f"{(tmp_path / 'folder').as_uri()}/", {"encryption": {"key": KEY, "manifest": True}})
    (tmp_path / "folder").mkdir()
    with tally(
        "the limit on threads is reached", "encrypt, decrypt, a folder", outcome="the right bytes, without threads"
    ) as cases:
        for allows in THREADS.values():
            with few_threads(allows):
                connectors.encrypt(tmp_path / "plain", tmp_path / "sealed", KEY)
                connectors.decrypt(tmp_path / "sealed", tmp_path / "opened", KEY)
                fs, path = folder.filesystem()
                with fs.transaction:
                    for number in range(3):
                        fs.pipe_file(f"{path}/{number}", plain[number : number + 200_000])
                assert folder.write_manifest() == 3
                assert [fs.cat_file(f"{path}/{number}") for number in range(3)] == [
                    plain[number : number + 200_000] for number in range(3)
                ]
            assert (tmp_path / "opened").read_bytes() == plain
            cases.count("the right bytes")


def test_running_a_command_at_the_thread_limit(tmp_path, tally):
    app = app_config(tmp_path)
    with tally(
        "the limit on threads is reached",
        "running a command",
        outcome="a result, or one of our errors and the old result",
    ) as cases:
        for number, allows in enumerate([*THREADS.values(), lambda count: count < 2, lambda _: True]):
            connectors.encrypt(io.BytesIO(OLD), tmp_path / "out", KEY)
            try:
                with few_threads(allows):
                    runner.run(app, COMMAND)
            except ConnectorError as error:
                assert output(tmp_path) == OLD
                cases.count(type(error).__name__)
            else:
                assert number >= len(THREADS) - 1
                assert runner.read_result(io.BytesIO(output(tmp_path))).stdout == b"x" * 100_000 + b"\n"
                cases.count("a result")


@pytest.mark.skipif(sys.platform != "linux", reason="the memory that a program needs to start is known only for Linux")
@pytest.mark.parametrize("verb", ["encrypt", "decrypt"])
def test_memory_runs_out(verb, tmp_path, tally):
    plain = content(SIZE, 5)
    (tmp_path / "key").write_text(KEY)
    (tmp_path / "plain").write_bytes(plain)
    connectors.encrypt(tmp_path / "plain", tmp_path / "sealed", KEY)
    source = {"encrypt": "plain", "decrypt": "sealed"}[verb]
    words = [*COMMAND_LINE, verb, "-K", "key", "-in", source, "-out", "out"]
    outcome = "the whole file, or an error and no file"
    with tally("memory runs out", f"local files, `connectors {verb}`", outcome=outcome) as cases:
        for limit in range(40, 160, 10):  # MiB, from too few to start to enough
            limited = ["sh", "-c", f'ulimit -v {limit << 10}; exec "$@"', "sh", *words]
            done = subprocess.run(limited, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
            if done.returncode == 0:
                if verb == "encrypt":
                    assert connectors.open_reader(tmp_path / "out", KEY).read() == plain
                else:
                    assert (tmp_path / "out").read_bytes() == plain
                (tmp_path / "out").unlink()
                cases.count("written")
            else:
                cases.count("no memory")
            assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "plain", "sealed"]
        assert cases.outcomes["written"]
        assert cases.outcomes["no memory"]
