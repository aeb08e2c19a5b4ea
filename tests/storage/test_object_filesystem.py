"""What an object filesystem derives from a source, a sink, `info` and `ls`."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.errors import AccessDenied, ObjectChanged, ObjectNotFound, StorageUnavailable
from connectors.storage import ObjectFileSystem, trees

ENTRIES = {"room": ["room/shelf", "room/one"], "room/shelf": ["room/shelf/two"]}


class Shelves(ObjectFileSystem):
    """Names only."""

    schemes = ("shelf",)

    def __init__(self) -> None:
        super().__init__()
        self.refused: dict[str, Exception] = {}

    def open_source(self, path: str) -> Any:
        raise NotImplementedError

    def open_sink(self, path: str, *, exclusive: bool = False) -> Any:
        raise NotImplementedError

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        if path in ENTRIES:
            return {"name": path, "type": "directory", "size": 0}
        if path not in ("room/one", "room/shelf/two"):
            raise ObjectNotFound(path)
        return {"name": path, "type": "file", "size": 1}

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        if path in self.refused:
            raise self.refused[path]
        self.info(path)
        return [self.info(name) for name in ENTRIES.get(path, [path])]


def test_find_lists_everything_below_a_folder():
    fs = Shelves()
    assert fs.find("room") == ["room/one", "room/shelf/two"]
    assert fs.find("room", maxdepth=1, withdirs=True) == ["room", "room/one", "room/shelf"]
    assert fs.find("room/one", detail=True) == {"room/one": fs.info("room/one")}
    assert fs.find("hall") == []


@pytest.mark.parametrize(
    ("reason", "kind"), [(AccessDenied("no"), AccessDenied), (ObjectNotFound("gone"), ObjectChanged)]
)
def test_find_raises_where_a_folder_is_not_listed(reason, kind):
    fs = Shelves()
    fs.refused["room/shelf"] = reason
    with pytest.raises(kind):
        fs.find("room")


def test_a_listing_without_end_is_an_error(monkeypatch):
    monkeypatch.setattr(trees, "_MAX_OBJECTS", 2)
    with pytest.raises(StorageUnavailable, match="does not end; do not trust the storage"):
        Shelves().find("room")


def test_only_an_instance_has_the_schemes_as_its_protocol():
    assert (Shelves.protocol, Shelves().protocol) == ((), ("shelf",))


def test_a_location_is_stripped_to_its_path():
    class Rooted(Shelves):
        root_marker = "/"

    assert Shelves._strip_protocol(["shelf://room/one/", "room/one"]) == ["room/one", "room/one"]
    assert Rooted._strip_protocol(["shelf://host/room/one/", "/room/one", "shelf://host"]) == [
        "/room/one",
        "/room/one",
        "/",
    ]
