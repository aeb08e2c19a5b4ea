"""Whole folders of any filesystem: listed completely, or with an error, and removed as they were listed.

fsspec's own `walk`, `find` and `rm` take a folder that cannot be listed for an empty one. Here, whatever the storage
refuses is an error: a shorter list would be missing rows to a reader, and lost objects to one who moves a folder.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from connectors._fsspec import LocalFileSystem, has_magic
from connectors.errors import IntegrityError, ObjectChanged, ObjectNotFound, StorageUnavailable
from connectors.names import quoted
from connectors.storage.adapters import map_errors
from connectors.storage.capabilities import FindsAll, HasLinks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors._fsspec import AbstractFileSystem

    Entry = dict[str, Any]

__all__ = ["check_names", "folder_links", "is_safe", "list_folder", "list_levels", "list_tree", "remove"]

_MAX_DEPTH = 512
"""Limit of nested folders: names have at most 1,024 bytes in S3 and Google Cloud Storage; Azure allows fewer."""
_MAX_OBJECTS = 10_000_000
"""Limit of objects and folders below one folder, as in a bucket's listing."""


def is_safe(relative: str) -> bool:
    """Return whether a relative path stays inside its folder for every tool."""
    return "\0" not in relative and not {".", ".."} & set(relative.split("/"))


def check_names(folder: str, names: Iterable[str]) -> None:
    """Check that all names a storage lists in a folder are inside the folder.

    Raises:
        IntegrityError: a name points outside it.
    """
    # Some filesystems have a slash before each path.
    root = f"{folder.strip('/')}/" if folder.strip("/") else ""
    for name in names:
        whole = f"{name.lstrip('/')}/"
        inside = whole.removeprefix(root)
        # Joining a path that begins with a slash to another one would discard the other one.
        outside = not whole.startswith(root) or inside.startswith("/") or not is_safe(inside)
        if outside or inside.count("/") > _MAX_DEPTH:
            message = f"the storage lists {quoted(name)} in {folder}, whose name points outside it; do not trust it"
            raise IntegrityError(message)


def list_folder(fs: AbstractFileSystem, path: str, **options: Any) -> list[Entry]:
    """Return the entries directly in a folder, or the object itself.

    Args:
        fs: the filesystem.
        path: the folder.
        options: those of the filesystem's `ls`.

    Raises:
        ObjectNotFound: nothing is stored at the path.
        IntegrityError: the storage lists a name that points outside the folder.
        StorageError: the storage refuses to list it.
    """
    entries: list[Entry] = map_errors(path, lambda: fs.ls(path, detail=True, **options))
    check_names(path, (entry["name"] for entry in entries))
    return [_folder_or_object(entry) for entry in entries]


def _folder_or_object(entry: Entry) -> Entry:
    """Return an entry whose type is "directory" or "file".

    Links, devices and pipes become objects, because readers skip other types without a word, and miss rows by that.
    Reading one that leads to no file is an error.
    """
    match entry["type"]:
        case "file":
            return entry
        case "directory":
            return {**entry, "name": entry["name"].rstrip("/")}  # some filesystems end the name with a slash
        case _:
            return {**entry, "type": "file", "size": None}


def list_tree(
    fs: AbstractFileSystem, path: str, *, depth: int | None = None, folders: bool = False, **options: Any
) -> dict[str, Entry]:
    """Return everything below a folder, or the object itself, by name: all of it, or an error.

    Args:
        fs: the filesystem.
        path: the folder; finding nothing there is not an error.
        depth: the number of levels to list; None for all.
        folders: whether to return folders too, and the folder itself.
        options: those of the filesystem's `ls`.

    Raises:
        IntegrityError: the storage lists a name that points outside the folder.
        ObjectChanged: a folder was removed or replaced after it was listed.
        StorageError: the storage refuses to list a folder.
    """
    if depth is None and isinstance(fs, FindsAll):
        found: dict[str, Entry] = map_errors(path, lambda: fs.find_all(path, folders=folders))
        check_names(path, found)
        return {name: _folder_or_object(entry) for name, entry in found.items()}
    return list_levels(fs, path, depth=depth, folders=folders, **options)


def list_levels(
    fs: AbstractFileSystem, path: str, *, depth: int | None = None, folders: bool = False, **options: Any
) -> dict[str, Entry]:
    """Return what `list_tree` does, of any filesystem: lists one folder after the other, level by level."""
    try:
        top = list_folder(fs, path, **options)
    except ObjectNotFound:
        top = None
    if top is None:
        if map_errors(path, lambda: fs.exists(path)):
            message = f"the storage does not list {path}, and says that it exists; list it again"
            raise ObjectChanged(message)
        return {}
    entries = [entry for entry in top if not _is_folder(entry, path)]
    found, level = _by_name(entries), 1
    while entries and (depth is None or level < depth):
        if level > _MAX_DEPTH:
            message = f"the folders in {path} are nested without end; do not trust the storage"
            raise StorageUnavailable(message)
        below = [entry["name"] for entry in entries if entry["type"] == "directory"]
        entries, level = [], level + 1
        for name in below:
            entries += _listed_again(fs, name, options)
            if len(found) + len(entries) > _MAX_OBJECTS:
                message = f"the listing of {path} does not end; do not trust the storage"
                raise StorageUnavailable(message)
        found |= _by_name(entries)
    if not folders:
        found = {name: entry for name, entry in found.items() if entry["type"] != "directory"}
    elif path.strip("/") and path not in found:
        found[path] = {"name": path, "type": "directory", "size": 0}
    return dict(sorted(found.items()))


def folder_links(fs: AbstractFileSystem, paths: list[str]) -> list[str]:
    """Return those paths that are links to folders, which listings do not follow."""
    if isinstance(fs, LocalFileSystem):
        return [path for path in paths if os.path.islink(path) and os.path.isdir(path)]
    return map_errors(paths[0], lambda: fs.folder_links(paths)) if paths and isinstance(fs, HasLinks) else []


def _by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return entries by their names; of an object and a folder with one name, the object."""
    return {entry["name"]: entry for entry in sorted(entries, key=lambda one: one["type"] != "directory")}


def _is_folder(entry: Entry, folder: str) -> bool:
    """Return whether an entry of a listing is the listed folder itself."""
    return bool(entry["type"] == "directory" and entry["name"].strip("/") == folder.strip("/"))


def _listed_again(fs: AbstractFileSystem, folder: str, options: dict[str, Any]) -> list[Entry]:
    """Return the entries of a folder that the storage has just listed, without the folder itself."""
    try:
        entries = list_folder(fs, folder, **options)
    except ObjectNotFound:
        missing = True
    else:
        missing = False
    if missing:
        message = f"{folder} was removed while the folder above it was being listed; list it again"
        raise ObjectChanged(message)
    if any(entry["type"] != "directory" and entry["name"].strip("/") == folder.strip("/") for entry in entries):
        message = (
            f"{folder} is listed as a folder and is an object: it was replaced while it was being listed, or the "
            "storage has both and cannot list the folder; then rename the object"
        )
        raise ObjectChanged(message)
    return [entry for entry in entries if not _is_folder(entry, folder)]


def remove(fs: AbstractFileSystem, path: str, *, recursive: bool, depth: int | None = None) -> None:
    """Remove an object, or with `recursive` also a folder with everything in it; nothing, if it cannot be listed.

    Args:
        fs: the filesystem.
        path: the object or folder, literally: it is not a pattern.
        recursive: also remove a folder.
        depth: the number of levels to remove; None for all.

    Raises:
        ObjectNotFound: nothing is stored at the path.
        StorageError: something was not removed.
    """
    whole = depth is None and isinstance(fs, (FindsAll, LocalFileSystem))
    if not has_magic(path) and (whole or not recursive):
        # These remove everything themselves, many objects per request, or raise an error.
        map_errors(path, lambda: fs.rm(path, recursive=recursive))
        return
    if not recursive:
        map_errors(path, lambda: fs.rm_file(path))
        return
    entries = list_tree(fs, path, depth=depth, folders=True)
    if not entries:
        message = f"nothing is stored at {path}"
        raise ObjectNotFound(message)
    folders = [name for name, entry in entries.items() if entry["type"] == "directory"]
    for name in entries.keys() - set(folders):
        map_errors(name, lambda name=name: fs.rm_file(name))  # type: ignore[misc]
    for name in sorted(folders, reverse=True):
        # Object stores have no folders, and one that has got a new object stays.
        with contextlib.suppress(OSError):
            map_errors(name, lambda name=name: fs.rmdir(name))  # type: ignore[misc]
