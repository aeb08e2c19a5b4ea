"""What the tests of folders with a manifest share."""

from __future__ import annotations

import json
from pathlib import Path

import connectors
from connectors.formats import select
from connectors.fs.manifest import MANIFEST_NAME, Member, parse_manifest
from connectors.streams import as_source, buffered

__all__ = ["KEY", "NAMES", "document", "everything", "lay_down", "manifest_of"]

KEY = "4d" * 32
NAMES = ["north.csv", "south.csv", "east/one.csv", "east/two 50%?#ü.csv"]


def document(**encryption) -> dict:
    return {"encryption": {"key": KEY, "manifest": True, **encryption}}


def everything(dataset: connectors.Dataset) -> dict[str, bytes]:
    fs, path = dataset.filesystem()
    return {name.removeprefix(f"{path}/"): fs.cat_file(name) for name in fs.find(path)}


def manifest_of(dataset: connectors.Dataset) -> dict[str, Member]:
    """What the stored manifest says, opened as any other object of the folder would be."""
    store = dataset.location.removeprefix("file://")
    source = as_source(f"{store}{MANIFEST_NAME}")
    with buffered(source, select("cobblestone-256", KEY).bound(MANIFEST_NAME)) as file:
        return parse_manifest(file.read())


def lay_down(root: Path, location: str, port: str = "input", **encryption) -> None:
    folder = root / "rw" / port / "wards" / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location)
    (folder / "credentials.bin").write_text(json.dumps(document(**encryption)))
