"""Several writers of one object: one of their versions is there, whole, and concurrent readers get no mixture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import dying
import pytest
from dying import REFUSED, content
from places import KEY, KINDS, SOME, Place, place_on

import connectors
from connectors.errors import ConnectorError, ObjectExists

SIZES = {"local file": (2_000_000, 3_000_000), "memory": (2_000_000, 3_000_000)}
LARGE = {"S3": (9_000_000, 10_000_000), "presigned PUT": (2_000_000, 3_000_000), "Azure": (9_000_000, 10_000_000)}
SMALL = (20_000, 30_000)


def sizes_for(kind: str) -> list[tuple[int, int]]:
    return [SMALL, (SIZES | LARGE)[kind]]


def place_of(kind: str, fixture, name: str) -> Place:
    if kind != "memory":
        return place_on(kind, fixture, name)
    at = f"memory://concurrent/{name}", {"encryption": {"key": KEY}}
    return Place(*at, at, list, lambda: None)


def at_once(works: Sequence[Callable[[], object]]) -> list[object]:
    """Run the functions concurrently, and return the result of each: its value, or our error."""
    results: list[object] = [None] * len(works)
    ready = threading.Barrier(len(works))

    def do(number: int) -> None:
        ready.wait()
        try:
            results[number] = works[number]()
        except BaseException as error:  # noqa: BLE001 - checked below
            results[number] = error

    threads = [threading.Thread(target=do, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in results:
        assert not isinstance(one, BaseException) or isinstance(one, ConnectorError), repr(one)
    return results


@pytest.mark.parametrize("kind", [*KINDS, "memory"])
def test_two_threads_write_one_object(kind, request, tally):
    place = place_of(kind, request.getfixturevalue, "concurrent-threads")
    with tally("two threads write one object", kind, outcome="the object of one writer, whole") as cases:
        for turn, sizes in enumerate(sizes_for(kind)):
            data = [content(size, turn * 10 + number) for number, size in enumerate(sizes)]
            results = at_once([lambda one=one: place.writer().write_bytes(one) for one in data])
            written = [one for one, outcome in zip(data, results, strict=True) if outcome is None]
            assert written, "neither was written"
            assert place.reader().read_bytes() in data
            cases.count(f"{len(written)} written")
    place.tidy()


@pytest.fixture(scope="module")
def parents():
    with dying.start_parent() as one, dying.start_parent() as other:
        yield one, other


@pytest.mark.parametrize("kind", SOME)
def test_two_processes_write_one_object(parents, kind, request, tally):
    place = place_of(kind, request.getfixturevalue, "concurrent-processes")
    arguments = {"location": place.location, "document": place.document}
    with tally("two processes write one object", kind, outcome="the object of one writer, whole") as cases:
        for turn, sizes in enumerate(sizes_for(kind)):
            works = [
                lambda parent=parent, size=size, seed=turn: parent.do("write", **arguments, size=size, seed=seed)
                for parent, size in zip(parents, sizes, strict=True)
            ]
            results = at_once(works)
            assert {ended.status for ended in results} <= {0, REFUSED}
            assert any(ended.done for ended in results)
            assert place.reader().read_bytes() in [content(size, turn) for size in sizes]
            cases.count("whole")
    place.tidy()


@pytest.mark.parametrize("kind", ["local file", "S3", "Azure", "memory"])
def test_two_threads_create_one_object(kind, request, tally):
    """With "xb", exactly one succeeds where the storage decides; memory does not, and SeaweedFS decides too late."""
    decides = kind not in ("memory", "S3")
    outcome = "one succeeds, the other gets ObjectExists" if decides else "the object of one writer, whole"
    with tally("two threads create one object, with xb", kind, outcome=outcome) as cases:
        for turn in range(6):
            place = place_of(kind, request.getfixturevalue, f"concurrent-create-{turn}")
            data = [content(size, turn) for size in sizes_for(kind)[turn % 2]]

            def create(one: bytes, place=place) -> None:
                with place.writer().open("xb") as file:
                    file.write(one)

            results = at_once([lambda one=one: create(one) for one in data])
            winners = [one for one, outcome in zip(data, results, strict=True) if outcome is None]
            if decides:
                assert len(winners) == 1, results
                assert [type(one) for one in results if one is not None] == [ObjectExists]
            assert place.reader().read_bytes() in winners
            cases.count("one succeeded" if len(winners) == 1 else "both wrote")
            place.tidy()


@pytest.mark.parametrize(
    ("format", "kind"),
    [
        *(("cobblestone-256", kind) for kind in (*KINDS, "memory")),
        ("gcm", "local file"),
        pytest.param("gcm", "S3", marks=pytest.mark.slow),
    ],
)
def test_object_is_read_while_it_is_replaced(kind, format, request, tally):
    place = place_of(kind, request.getfixturevalue, f"concurrent-read-{format}")
    size = 5_000_000 if kind in {"local file", "memory"} else 2_500_000
    versions = [content(size + number, number) for number in range(4)]
    change = {"encryption": {"key": KEY, "format": format}}
    writer = connectors.Dataset(place.location, {**place.document, **change})
    location, document = place.reads
    writer.write_bytes(versions[0])
    stop = threading.Event()
    problems: list[BaseException] = []

    def replace() -> None:
        turn = 0
        try:
            while not stop.is_set():
                turn += 1
                writer.write_bytes(versions[turn % len(versions)])
        except BaseException as error:  # noqa: BLE001 - raised below
            problems.append(error)

    thread = threading.Thread(target=replace)
    with tally(
        "an object is read while another thread replaces it",
        f"{format}, {kind}",
        outcome="one version, whole, or one of our errors",
    ) as cases:
        thread.start()
        try:
            for number in range(8):
                dataset = connectors.Dataset(location, {**document, **change})
                try:
                    with dataset.open("rb") as file:
                        pieces = [file.read(100_000)]
                        while piece := file.read(300_000 + number):
                            pieces.append(piece)
                except ConnectorError as error:
                    cases.count(type(error).__name__)
                else:
                    assert b"".join(pieces) in versions, "a mixture"
                    cases.count("whole")
        finally:
            stop.set()
            thread.join()
    assert problems == []
    assert writer is not None
    assert connectors.Dataset(location, {**document, **change}).read_bytes() in versions
