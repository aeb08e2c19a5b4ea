"""The writer of a folder with a manifest dies or has a competitor: objects stay whole, and damage is detected."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable

import dying
import pytest
from dying import content
from places import KEY, azure_place, local_place, s3_place

import connectors
from connectors.errors import ConnectorError, IntegrityError, ObjectChanged

NAMES = ["north.csv", "south.csv", "ward/east.csv"]
SIZE = 300_000
JOBS = {"folder": "in a transaction", "one by one": "one by one"}


@pytest.fixture(scope="module")
def parent():
    with dying.start_parent() as one:
        yield one


def folder_on(kind: str, fixture, name: str) -> tuple[str, dict]:
    """Return the location of a folder, and its document without the encryption."""
    if kind == "local files":
        place = local_place(fixture("tmp_path") / name)
    else:
        place = s3_place(fixture("s3"), name) if kind == "S3" else azure_place(fixture("azure"), name)
    return f"{place.location}/", {key: value for key, value in place.document.items() if key != "encryption"}


def opened(location: str, document: dict, *, manifest: bool = True) -> connectors.Dataset:
    """Return a new dataset for the folder, which has cached nothing."""
    return connectors.Dataset(location, {**document, "encryption": {"key": KEY, "manifest": manifest}})


def read(dataset: connectors.Dataset) -> dict[str, bytes]:
    """Return every object of a folder, read through its manifest."""
    fs, path = dataset.filesystem()
    return {name.removeprefix(path).lstrip("/"): fs.cat_file(name) for name in fs.find(path)}


def written(seed: int) -> dict[str, bytes]:
    """Return the objects that the job with this seed writes."""
    return {name: content(SIZE, seed + number) for number, name in enumerate(NAMES)}


def put(dataset: connectors.Dataset, objects: dict[str, bytes]) -> None:
    fs, path = dataset.filesystem()
    with fs.transaction:
        for name, data in objects.items():
            fs.pipe_file(f"{path}/{name}", data)


def settled(look: Callable[[], dict[str, bytes]]) -> dict[str, bytes]:
    """Return what `look` does, again if an object changes: a killed process's last request may still be on its way."""
    for _ in range(5):
        try:
            return look()
        except ObjectChanged:
            continue
    return look()


def repaired(location: str, document: dict, cases) -> dict[str, bytes]:
    """Read a folder; if that is refused, check that the error names the cause, and that a new manifest repairs it.

    A reader that does not use the manifest sees each object whole in either case.
    """
    single = settled(lambda: read_singly(location, document))
    try:
        found = settled(lambda: read(opened(location, document)))
    except IntegrityError as error:
        message = str(error)
        cases.count("IntegrityError, until the manifest is rewritten")
        opened(location, document).write_manifest()
        found = read(opened(location, document))
        assert any(name in message for name in [*NAMES, "_manifest.sealed"]), message
    else:
        cases.count("old or new")
    assert found in (single, read_singly(location, document))
    return found


def read_singly(location: str, document: dict) -> dict[str, bytes]:
    fs, path = opened(location, document, manifest=False).filesystem()
    found = {}
    for name in fs.find(path):
        short = name.removeprefix(path).lstrip("/")
        if short in NAMES:
            found[short] = fs.cat_file(name)
    return found


@pytest.mark.parametrize("kind", ["local files", "S3", "Azure"])
@pytest.mark.parametrize("job", JOBS)
@pytest.mark.parametrize(
    ("count", "again"), [(4, ""), pytest.param(20, ", repeatedly", marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_writer_of_a_folder_is_killed(parent, kind, job, count, again, request, tally):
    location, document = folder_on(kind, request.getfixturevalue, f"folder-{job.replace(' ', '-')}-{count}")
    chance = random.Random(f"{kind} {job} {count}")
    arguments = {"location": location, "document": {**document, "encryption": {"key": KEY, "manifest": True}}}
    put(opened(location, document), written(-10))
    seeds = [-10]
    with tally(
        f"the writer of a folder with a manifest is killed{again}",
        f"{kind}, {JOBS[job]}",
        outcome="every object whole; the old folder, the new one, or an IntegrityError until the manifest is rewritten",
    ) as cases:
        for seed in range(0, 10 * count, 10):
            ended = parent.end(job, signal.SIGKILL, chance, **arguments, names=NAMES, size=SIZE, seed=seed)
            seeds.append(seed)
            found = repaired(location, document, cases)
            assert found.keys() == set(NAMES)
            for name, data in found.items():
                assert data in [written(one)[name] for one in seeds], "an object that nobody wrote"
            if ended.done and kind == "local files":
                assert found == written(seed)
    put(opened(location, document), written(-20))
    assert read(opened(location, document)) == written(-20)


@pytest.mark.parametrize("kind", ["local files", "S3", "Azure"])
def test_concurrent_writers_of_one_folder(kind, request, tally):
    """Only one process at a time may write a folder with a manifest; after two, objects are whole and damage is detected."""
    location, document = folder_on(kind, request.getfixturevalue, "two-writers")
    put(opened(location, document), written(0))
    with tally(
        "two concurrent writers of a folder with a manifest",
        kind,
        outcome="every object whole; the folder of one writer, or an IntegrityError until the manifest is rewritten",
    ) as cases:
        for turn in range(100, 500, 100):
            ready = threading.Barrier(2)
            failures: list[BaseException] = []

            def write(seed: int, ready=ready, failures=failures) -> None:
                dataset = opened(location, document)
                ready.wait()
                try:
                    put(dataset, written(seed))
                except ConnectorError:
                    pass  # a writer may detect the other one itself
                except BaseException as error:  # noqa: BLE001 - raised by the assertion below
                    failures.append(error)

            writers = [threading.Thread(target=write, args=(turn + add,)) for add in (0, 10)]
            for writer in writers:
                writer.start()
            for writer in writers:
                writer.join()
            assert failures == []
            found = repaired(location, document, cases)
            for name, data in found.items():
                assert data in (written(turn)[name], written(turn + 10)[name], written(turn - 100)[name])
