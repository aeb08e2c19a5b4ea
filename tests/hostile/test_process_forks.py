"""A process forks or exits during reads and writes: no wrong byte, no partial object, no hang."""

from __future__ import annotations

import os

import dying
import pytest
from dying import content
from places import KEY, KINDS, SOME, Place, place_on

import connectors
from connectors.errors import ConnectorError
from connectors.testing.tools import in_child

SIZE = 10 << 20
KINDS_AND_MEMORY = [*KINDS, "memory"]


def place_of(kind: str, fixture, name: str) -> Place:
    if kind != "memory":
        return place_on(kind, fixture, name)
    at = f"memory://forks/{name}", {"encryption": {"key": KEY}}
    return Place(*at, at, list, lambda: None)


def read_rest(file, plain: bytes) -> str:
    """Read the rest of a file that was opened before the fork."""
    try:
        data = file.read()
    except ConnectorError as error:
        return f"refused: {error}"
    return "right" if data == plain else "wrong"


def read_by_seeks(file, plain: bytes) -> str:
    """Read pieces of it after seeks."""
    try:
        for start in (9 << 20, 100, 5 << 20, len(plain) - 10):
            file.seek(start)
            if file.read(70_000) != plain[start : start + 70_000]:
                return "wrong"
    except ConnectorError as error:
        return f"refused: {error}"
    return "right"


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        *(("cobblestone-256", kind) for kind in KINDS_AND_MEMORY),
        *((format, "local file") for format in ("tink-gcm-hkdf", "gcm")),
        pytest.param("gcm", "S3", marks=pytest.mark.slow),
    ],
)
def test_fork_during_a_read(kind, format, request, tally):
    place = place_of(kind, request.getfixturevalue, f"forked-reader-{format}")
    plain = content(SIZE, 5)
    change = {"encryption": {"key": KEY, "format": format}}
    connectors.Dataset(place.location, {**place.document, **change}).write_bytes(plain)
    dataset = connectors.Dataset(place.reads[0], {**place.reads[1], **change})
    with tally(
        "the process forks during a read",
        f"{format}, {kind}",
        outcome="the child reads on or gets one of our errors; the parent reads on",
    ) as cases:
        for work in (read_rest, read_by_seeks):
            with dataset.open("rb") as file:
                start = file.read(1 << 20) + file.read(1 << 20) + file.read(2 << 20)
                done = in_child("fork", work, file, plain[len(start) :] if work is read_rest else plain)
                assert done == "right" or done.startswith("refused: "), done
                assert start + file.read() == plain
            cases.count("right" if done == "right" else "refused")


def write_more(file) -> str:
    try:
        file.write(b"x" * (3 << 20))
    except ConnectorError as error:
        return f"refused: {error}"
    return "written"


def close(file) -> str:
    try:
        file.close()
    except ConnectorError as error:
        return f"refused: {error}"
    return "closed"


def discard(file) -> str:
    file.discard()
    return "discarded"


def fail(file) -> str:
    try:
        with file:
            raise ZeroDivisionError
    except ZeroDivisionError:
        return "failed"


@pytest.mark.parametrize("kind", [*SOME, "memory", "local file, staged as a named file"])
def test_fork_during_a_write(kind, request, monkeypatch, tally):
    if kind.endswith("a named file"):
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    place = place_of(kind.partition(",")[0], request.getfixturevalue, "forked-writer")
    with tally(
        "the process forks during a write",
        kind,
        outcome="the child is refused and publishes nothing; the parent's object is whole",
    ) as cases:
        for size in (1000, 10 << 20):
            for seed, work in enumerate((write_more, close, discard, fail)):
                place.writer().write_bytes(b"the old object")
                plain = content(size, seed)
                with place.writer().open("wb") as file:
                    file.write(plain[: size // 2])
                    done = in_child("fork", work, file)
                    assert (
                        done.startswith("refused: ") if work in {write_more, close} else done in {"discarded", "failed"}
                    )
                    assert place.reader().read_bytes() == b"the old object"
                    file.write(plain[size // 2 :])
                assert place.reader().read_bytes() == plain
                assert place.left() == []
                cases.count("whole")


@pytest.fixture(scope="module")
def parent():
    with dying.start_parent() as one:
        yield one


PUBLISHES = {"atexit closes a writer", "atexit writes", "atexit seals a file", "another thread writes"}
CONNECTS_AT_EXIT = {
    "atexit writes",
    "atexit reads",
    "atexit closes a writer",
    "another thread writes",
    "a daemon thread writes",
}
READS = {"a reader is open", "atexit reads", "a daemon thread reads"}


@pytest.mark.parametrize("kind", SOME)
def test_program_exits_during_reads_and_writes(parent, kind, request, tmp_path, tally):
    plain, old = content(SIZE, 9), b"the old object"
    with tally(
        "the program exits during reads and writes",
        kind,
        outcome="it exits; what was closed is published, and nothing else"
        + ("; a new connection at exit may be one of our errors" if kind == "S3" else ""),
    ) as cases:
        for number, what in enumerate(dying.AT_EXIT):
            if what == "atexit seals a file" and kind != "local file":
                continue
            place = place_on(kind, request.getfixturevalue, f"left-{number}")
            place.writer().write_bytes(plain if what in READS else old)
            (tmp_path / "source").write_bytes(plain)
            location, document = place.reads if what in READS else (place.location, place.document)
            ended = parent.do(
                "leave",
                location=location,
                document=document,
                what=what,
                size=SIZE,
                seed=9,
                source=str(tmp_path / "source"),
                target=str(tmp_path / f"left-{number}"),
                key=KEY,
                stderr=str(tmp_path / "stderr"),
            )
            stderr = (tmp_path / "stderr").read_text()
            found = place.reader().read_bytes()
            if kind == "S3" and what in CONNECTS_AT_EXIT and stderr:
                # To connect, the client of S3 needs a thread pool, and the interpreter has shut down all of them by then.
                # A daemon thread may be stopped while it reports this.
                assert "connectors.errors.MachineFailed: " in stderr or "daemon" in what, stderr
                assert found == (plain if what in READS else old)
                cases.count("an error")
                continue
            assert (ended.status, stderr) == (0, ""), f"{what}: {stderr}"
            assert found == (plain if what in READS | PUBLISHES else old), what
            if kind != "Azure" and what != "a daemon thread writes":
                assert place.left() == [], what
            place.tidy()
            cases.count("ended")
