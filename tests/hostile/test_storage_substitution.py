"""The storage substitutes another object or an older version: contexts, pins and manifests detect it."""

from __future__ import annotations

import itertools

import pytest
from attacks import RIGHT
from routes import FORMATS, seal
from sealing import plain_bytes

from connectors.errors import IntegrityError, PinMismatch
from connectors.fs.manifest import MANIFEST_NAME

ONE, OTHER = plain_bytes(50_000), plain_bytes(50_000, seed=1)
NAMES = ["north.csv", "south.csv", "east/one.csv", "east/two.csv"]
_names = itertools.count()


def serve(route, body: bytes):
    return route.proxy.rule("lies.Serve", body=body.decode("latin-1"))


@pytest.mark.parametrize("format", ["cobblestone-256", "tink-gcm-hkdf"])
def test_object_with_another_context(format, route, tally):
    name = f"substitution/{next(_names)}"
    route.put(name, seal(ONE, format, "input/conditions"))
    dataset = route.dataset(name, context="input/conditions", **FORMATS[format])
    with tally("an object with the same key and another context is served", f"{format}, {route}") as cases:
        for context in ("", "input/conditions/", "input/medications", "output/conditions"):
            with serve(route, seal(OTHER, format, context)):
                cases.refused(dataset.read_bytes, IntegrityError)
    assert dataset.read_bytes() == ONE


@pytest.mark.parametrize("format", FORMATS)
def test_pinned_object_is_replaced_or_rolled_back(format, route, tally, tmp_path):
    name = f"substitution/{next(_names)}"
    older = [seal(ONE, format), seal(OTHER, format), seal(ONE[:-1], format)]
    route.put(name, seal(ONE, format))
    pin = route.dataset(name, **FORMATS[format]).fingerprint()
    dataset = route.dataset(name, pin=pin, **FORMATS[format])
    with tally("a pinned object is replaced, or rolled back to an older version", f"{format}, {route}") as cases:
        for sealed in older:
            with serve(route, sealed):
                cases.refused(dataset.read_bytes, PinMismatch)
                cases.refused(dataset.open, PinMismatch)
                cases.refused(lambda: dataset.download(tmp_path / "plain"), PinMismatch)
                cases.refused(lambda: dataset.filesystem()[0].cat_file(dataset.filesystem()[1], 0, 10), PinMismatch)
    assert not list(tmp_path.iterdir())
    assert dataset.read_bytes() == ONE


def fill(route, folder: str, **encryption) -> None:
    """Write a folder, as its owner does: without a rule of the proxy."""
    fs, path = route.dataset(folder, **encryption).filesystem()
    with fs.transaction:
        for name in NAMES:
            fs.pipe_file(f"{path}/{name}", f"{name} {next(_names):06}".encode())


def looks(dataset, tmp_path):
    """Return ways to look at a folder; each returns what it finds as bytes."""

    def everything() -> bytes:
        fs, path = dataset.filesystem()
        return b"\n".join(fs.cat_file(f"{path}/{name}") for name in NAMES)

    def at_once() -> bytes:
        fs, path = dataset.filesystem()
        return b"\n".join(fs.cat_ranges([f"{path}/{name}" for name in NAMES], 0, None, on_error="raise"))

    def found() -> bytes:
        fs, path = dataset.filesystem()
        return repr(
            [(name[len(path) :], one["size"]) for name, one in sorted(fs.find(path, detail=True).items())]
        ).encode()

    def listed() -> bytes:
        fs, path = dataset.filesystem()
        return repr(sorted((one["name"][len(path) :], one["type"], one["size"]) for one in fs.ls(path))).encode()

    def copied() -> bytes:
        fs, path = dataset.filesystem()
        target = tmp_path / f"copy-{next(_names)}"
        fs.get(path, str(target), recursive=True)
        return b"\n".join((target / name).read_bytes() for name in NAMES)

    return {"read": everything, "ranges": at_once, "find": found, "ls": listed, "get": copied}


def snapshot(route, folder: str) -> dict[str, bytes]:
    return {name: route.get(f"{folder}{name}") for name in [*NAMES, MANIFEST_NAME]}


def restore(route, folder: str, objects: dict[str, bytes]) -> None:
    for name, data in objects.items():
        route.put(f"{folder}{name}", data)


def adversary(route, folder: str, older: dict[str, bytes], now: dict[str, bytes]):
    """Return the changes that an adversary makes in the storage itself."""
    north, south = f"{folder}north.csv", f"{folder}south.csv"
    return {
        "swaps two objects": lambda: restore(
            route, folder, {"north.csv": now["south.csv"], "south.csv": now["north.csv"]}
        ),
        "serves one object twice": lambda: route.put(north, now["south.csv"]),
        "serves an object of a subfolder": lambda: route.put(south, now["east/one.csv"]),
        "rolls one object back": lambda: route.put(north, older["north.csv"]),
        "rolls all objects back": lambda: restore(route, folder, {name: older[name] for name in NAMES}),
        "rolls the manifest back": lambda: route.put(f"{folder}{MANIFEST_NAME}", older[MANIFEST_NAME]),
        "serves an object as the manifest": lambda: route.put(f"{folder}{MANIFEST_NAME}", now["north.csv"]),
        "removes an object": lambda: route.remove(north),
        "removes a subfolder": lambda: [route.remove(f"{folder}{name}") for name in NAMES[2:]],
        "removes the manifest": lambda: route.remove(f"{folder}{MANIFEST_NAME}"),
        "adds an object": lambda: route.put(f"{folder}west.csv", now["north.csv"]),
        "adds an object in a subfolder": lambda: route.put(f"{folder}east/three.csv", older["east/one.csv"]),
    }


def test_objects_of_a_folder_are_swapped(folders, tally, tmp_path):
    folder = f"substitution/{next(_names)}/"
    fill(folders, folder)
    now = {name: folders.get(f"{folder}{name}") for name in NAMES}
    looking = looks(folders.dataset(folder), tmp_path)
    plain = {name: look() for name, look in looking.items()}
    attacks = adversary(folders, folder, now, now)
    with tally("objects of a folder are swapped in the storage", f"bound names, {folders}") as cases:
        for attack in ("swaps two objects", "serves one object twice", "serves an object of a subfolder"):
            attacks[attack]()
            for name in ("read", "ranges", "get"):
                cases.refused(looking[name], IntegrityError)
            restore(folders, folder, now)
    assert {name: look() for name, look in looking.items()} == plain


def test_folder_with_a_manifest(folders, tally, tmp_path):
    folder = f"substitution/{next(_names)}/"
    fill(folders, folder, manifest=True)
    older = snapshot(folders, folder)
    fill(folders, folder, manifest=True)
    now = snapshot(folders, folder)
    plain = {name: look() for name, look in looks(folders.dataset(folder, manifest=True), tmp_path).items()}
    with tally(
        "the storage swaps, removes, adds and rolls back objects", f"a folder with a manifest, {folders}"
    ) as cases:
        for attack, attempt in adversary(folders, folder, older, now).items():
            attempt()
            looking = looks(folders.dataset(folder, manifest=True), tmp_path)
            outcomes = [cases.read(look, plain[name]) for name, look in looking.items()]
            assert set(outcomes) != {RIGHT}, attack
            restore(folders, folder, now)
            for name in ("west.csv", "east/three.csv"):
                folders.remove(f"{folder}{name}")
    assert {name: look() for name, look in looks(folders.dataset(folder, manifest=True), tmp_path).items()} == plain


def test_pinned_folder_is_rolled_back(folders, tally, tmp_path):
    folder = f"substitution/{next(_names)}/"
    fill(folders, folder, manifest=True)
    older = snapshot(folders, folder)
    fill(folders, folder, manifest=True)
    pin = folders.dataset(folder, manifest=True).fingerprint()
    for look in looks(folders.dataset(folder, manifest=True, pin=pin), tmp_path).values():
        look()
    restore(folders, folder, older)
    looking = looks(folders.dataset(folder, manifest=True, pin=pin), tmp_path)
    with tally("a whole folder is rolled back, its manifest included", f"a pinned manifest, {folders}") as cases:
        for look in looking.values():
            cases.refused(look, PinMismatch)
