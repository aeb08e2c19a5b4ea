"""A writer is killed at any moment: the old object or the new one is there, and the next write succeeds."""

from __future__ import annotations

import random
import signal
import socket
import threading
from pathlib import Path

import dying
import pytest
from dying import Parent, content
from places import KEY, KINDS, Place, local_place, place_on, presigned_place, s3_place
from servers import S3Server

import connectors
from connectors.errors import ObjectChanged, StorageUnavailable

SIZES = {
    "local file": 6 << 20,
    "S3": 17 << 20,
    "S3, a small object": 200_000,
    "presigned PUT": 3 << 20,
    "Azure": 17 << 20,
    "Azure, a small object": 200_000,
}
LEFT = {"S3": "; parts of an unfinished upload may remain", "Azure": "; uncommitted blocks may remain for a week"}
FEW = {"local file": 6, "S3": 4, "S3, a small object": 4, "presigned PUT": 4, "Azure": 4, "Azure, a small object": 2}
MANY = dict(zip(FEW, (120, 40, 40, 60, 30, 20), strict=True))
COUNTS = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]


@pytest.fixture(scope="module")
def parent():
    with dying.start_parent() as one:
        yield one


def again(counts: dict[str, int]) -> str:
    return "" if counts is FEW else ", repeatedly"


def end_often(
    parent: Parent, place: Place, job: str, number: signal.Signals, count: int, size: int, cases, **arguments
) -> None:
    """End a writer `count` times; each time, check which object is there, and that the next write succeeds."""
    chance = random.Random(f"{job} {size} {number} {count}")
    arguments = {"location": place.location, "document": place.document, "size": size, **arguments}
    before: set[bytes] = set()
    for seed in range(count):
        old, new = content(1000, -1 - seed), content(size, seed)
        place.writer().write_bytes(old)
        if "source" in arguments:
            Path(arguments["source"]).write_bytes(new)
        ended = parent.end(job, number, chance, seed=seed, **arguments)
        found = read_settled(place)
        assert found in {old, new} | before, "neither the old object nor a new one, whole"
        assert not ended.done or found != old, "an object that was reported as written is not there"
        cases.count("the old object" if found == old else "a new object")
        if not place.is_local:
            before.add(new)  # the storage may process a complete request long after its sender died


def read_settled(place: Place) -> bytes:
    """Read; read again if the storage processes a request of a dead sender in between."""
    try:
        return place.reader().read_bytes()
    except ObjectChanged:
        return place.reader().read_bytes()


def leaves_whole_files(place: Place) -> None:
    """Check what is left next to a local file: nothing, or a whole file that was about to replace it."""
    folder = Path(place.location.removeprefix("file://")).parent
    for name in place.left():
        with connectors.open_reader(folder / name, KEY) as file:
            file.read()


@pytest.mark.parametrize("kind", SIZES)
@pytest.mark.parametrize("counts", COUNTS, ids=["few", "many"])
def test_writer_is_killed(parent, kind, counts, request, tally):
    place = place_on(kind.partition(",")[0], request.getfixturevalue, f"killed-{SIZES[kind]}-{counts[kind]}")
    outcome = f"the old object, or the new one whole{LEFT.get(kind, '')}"
    with tally(f"the writer is killed{again(counts)}", kind, outcome=outcome) as cases:
        end_often(parent, place, "write", signal.SIGKILL, counts[kind], SIZES[kind], cases)
    if kind == "local file":
        leaves_whole_files(place)
    place.writer().write_bytes(b"37.2")  # succeeds despite what was left there
    assert place.reader().read_bytes() == b"37.2"
    place.tidy()
    assert place.left() == [] or kind.startswith("Azure")


@pytest.mark.parametrize("job", ["encrypt", "upload"])
@pytest.mark.parametrize(("count", "counts"), [(4, FEW), pytest.param(30, MANY, marks=pytest.mark.slow)])
def test_encrypting_process_is_killed(parent, job, count, counts, tmp_path, tally):
    place = local_place(tmp_path / "sealed")
    (tmp_path / "plain").mkdir()
    arguments = {"source": str(tmp_path / "plain/file"), "target": str(tmp_path / "sealed"), "key": KEY}
    with tally(
        f"the writer is killed{again(counts)}", f"local file, {job}", outcome="the old object, or the new one whole"
    ) as cases:
        end_often(parent, place, job, signal.SIGKILL, count, 6 << 20, cases, **arguments)
    leaves_whole_files(place)


def test_writer_is_killed_without_unnamed_files(parent, tmp_path, tally):
    place = local_place(tmp_path / "sealed")
    with tally(
        "the writer is killed",
        "local file, on a system without unnamed files",
        outcome="the old object, or the new one whole; a hidden .part file may remain",
    ) as cases:
        end_often(parent, place, "write", signal.SIGKILL, 4, 6 << 20, cases, named=True)
    assert set(place.left()) <= {name for name in place.left() if name.startswith(".sealed.")}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_writer_is_sent_a_signal(parent, kind, number, request, tally):
    """SIGTERM ends a Python program as SIGKILL does; SIGINT raises KeyboardInterrupt, which unwinds the stack."""
    place = place_on(kind, request.getfixturevalue, f"ended-{number}")
    unwound = number is signal.SIGINT
    outcome = "the old object, or the new one whole" + (", and nothing else remains" if unwound else LEFT.get(kind, ""))
    with tally(f"the writer is sent {number.name}", kind, outcome=outcome) as cases:
        end_often(parent, place, "write", number, 3, SIZES[kind], cases)
    if unwound and kind != "Azure":  # which deletes uncommitted blocks itself, after a week
        assert place.left() == []
    place.tidy()


@pytest.mark.parametrize("kind", ["S3", "presigned PUT"])
def test_request_headers_are_never_sent_without_the_body(kind, monkeypatch, tally):
    """If the sender dies between the two, SeaweedFS replaces the old object by an empty one."""
    monkeypatch.setattr("connectors.storage.RetryPolicy.attempts", 1)
    received: list[bytes] = []

    def listen() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:  # closed
                return
            with connection:
                received.append(connection.recv(1 << 20))

    with socket.create_server(("127.0.0.1", 0)) as server:
        listener = threading.Thread(target=listen)
        listener.start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        place = s3_place(S3Server(endpoint, "AKID", "secret"), "one")
        if kind != "S3":
            place = presigned_place(S3Server(endpoint, "AKID", "secret"), "one")
        with tally("the writer is killed between a request's headers and its body", kind) as cases:
            with pytest.raises(StorageUnavailable):
                place.writer().write_bytes(content(200_000, 0))
            server.shutdown(socket.SHUT_RDWR)
            listener.join()
            for request in received:
                head, _, body = request.partition(b"\r\n\r\n")
                assert head.startswith(b"PUT /clinic/one")
                assert body, "the headers were sent without the body"
            assert received
            cases.count("not possible: both are sent at once")
