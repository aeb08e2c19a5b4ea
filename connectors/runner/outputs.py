"""The files that a command leaves to be published: opened without following a link, and only if they are regular files.

A link would publish whatever it leads to, such as a key, sealed for somebody else.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import IO

from connectors.errors import ConfigError
from connectors.system.os_errors import on_this_machine

__all__ = ["files_below", "open_output"]

# O_PATH: a folder above the file may be one that this user can enter but not list.
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def open_output(path: str, names: int = 1) -> IO[bytes] | None:
    """Open a regular file to read; return None if it does not exist.

    Args:
        path: an absolute path; none of its parts may be a link.
        names: how many names (hard links) the file may have.

    Raises:
        ConfigError: it is something else, or a link is in its path, or it has another name elsewhere.
        StorageError: it cannot be opened.
    """
    *folders, last = path.strip("/").split("/")
    here = os.open("/", _FOLDER)
    try:
        for part in (*folders, last):
            try:
                kind = os.stat(part, dir_fd=here, follow_symlinks=False)
            except FileNotFoundError:
                return None
            if stat.S_ISLNK(kind.st_mode):
                raise _refused(path, f"has a link in it, {part!r}, which is not followed")
            if part is last:
                return _open_file(path, last, here, names, kind)
            if not stat.S_ISDIR(kind.st_mode):
                return None
            inner = _at(path, part, _FOLDER, here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    return None


def _open_file(path: str, name: str, folder: int, names: int, found: os.stat_result) -> IO[bytes]:
    if stat.S_ISREG(found.st_mode):  # opening a device may have effects
        file = open(_at(path, name, _FILE, folder), "rb", buffering=0)  # noqa: SIM115 - the caller closes it
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode) and found.st_nlink <= names:
            return file
        file.close()
    if not stat.S_ISREG(found.st_mode):
        raise _refused(path, "is not a regular file")
    raise _refused(path, "is also a file elsewhere, by a hard link (write a copy)")


def _at(path: str, name: str, flags: int, folder: int) -> int:
    return on_this_machine(path, lambda: os.open(name, flags, dir_fd=folder), "cannot be read")


def _listed(path: str) -> list[os.DirEntry[str]]:
    return on_this_machine(path, lambda: list(os.scandir(path)), "cannot be read")


def _refused(path: str, why: str) -> ConfigError:
    return ConfigError(f"{path} {why}, so it cannot be published")


def files_below(folder: str) -> dict[str, int]:
    """Return the paths of all files in a folder, relative to it, with the number of names that each has in there.

    Raises:
        ConfigError: the folder's path has a link in it, or there is a link or a device in it.
        StorageError: a folder in it cannot be listed.
    """
    if os.path.realpath(folder) != os.path.normpath(folder):
        raise _refused(folder, "has a link in it, which is not followed")
    found: dict[str, os.stat_result] = {}
    waiting = [""]
    while waiting:
        below = waiting.pop()
        for entry in _listed(os.path.join(folder, below)):
            name = os.path.join(below, entry.name)
            if entry.is_symlink():
                raise _refused(entry.path, "is a link, which is not followed")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(name)
            else:
                found[name] = entry.stat(follow_symlinks=False)
    names = Counter((one.st_dev, one.st_ino) for one in found.values())
    return {name: names[found[name].st_dev, found[name].st_ino] for name in sorted(found)}
