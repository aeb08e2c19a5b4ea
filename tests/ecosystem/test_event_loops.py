"""The synchronous API called from coroutines: it works in every event loop."""

from __future__ import annotations

import asyncio

import fsspec.asyn
import pytest
from places import KEY, KINDS, Place, place_on

import connectors

DATA = bytes(range(256)) * 20_000
MEMBERS = {"north.csv": b"37.2", "ward/south.csv": b"38.9"}


def place_of(kind: str, fixture, name: str) -> Place:
    if kind != "memory":
        return place_on(kind, fixture, name)
    at = f"memory://loops/{name}", {"encryption": {"key": KEY}}
    return Place(*at, at, list, lambda: None)


def use(place: Place) -> bytes:
    """Write an object, and read it in all ways."""
    place.writer().write_bytes(DATA)
    dataset = place.reader()
    assert dataset.filesystem()[0].size(dataset.filesystem()[1]) == len(DATA)
    with dataset.open() as file:
        file.seek(1 << 20)
        assert file.read(1000) == DATA[1 << 20 : (1 << 20) + 1000]
    return dataset.read_bytes()


@pytest.mark.parametrize("kind", [*KINDS, "memory"])
def test_an_object_is_written_and_read_inside_a_running_event_loop(kind, request):
    place = place_of(kind, request.getfixturevalue, "inside-a-loop")

    async def work():
        return use(place)

    assert asyncio.run(work()) == DATA


@pytest.mark.parametrize("kind", [*KINDS, "memory"])
def test_coroutines_use_it_in_threads_at_the_same_time(kind, request):
    places = [place_of(kind, request.getfixturevalue, f"in-threads-{number}") for number in range(4)]

    async def work():
        return await asyncio.gather(*(asyncio.to_thread(use, place) for place in places))

    assert asyncio.run(work()) == [DATA] * 4


@pytest.mark.parametrize("kind", ["local file", "S3", "Azure", "memory"])
def test_a_folder_is_listed_and_copied_inside_a_running_event_loop(kind, request, tmp_path):
    place = place_of(kind, request.getfixturevalue, "folder-inside-a-loop")
    dataset = connectors.Dataset(f"{place.location}/", place.document)

    async def work():
        fs, path = dataset.filesystem()
        for name, data in MEMBERS.items():
            fs.pipe_file(f"{path}/{name}", data)
        fs.get(path, f"{tmp_path}/copy", recursive=True)
        return {name.removeprefix(f"{path}/"): fs.cat_file(name) for name in fs.find(path)}

    assert asyncio.run(work()) == MEMBERS
    assert {name: (tmp_path / "copy" / name).read_bytes() for name in MEMBERS} == MEMBERS


@pytest.mark.parametrize("kind", [*KINDS, "memory"])
def test_an_object_is_written_and_read_inside_the_event_loop_of_fsspec(kind, request):
    place = place_of(kind, request.getfixturevalue, "inside-fsspecs-loop")

    async def work():
        return use(place)

    assert fsspec.asyn.sync(fsspec.asyn.get_loop(), work) == DATA
    assert place.reader().read_bytes() == DATA
