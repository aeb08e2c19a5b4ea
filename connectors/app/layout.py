"""The app config folder: the paths in it, and how one is written.

::

    <root>/app-config.json                              the whole runtime configuration, if there is one
    <root>/<port>/<object>/dataset/location.txt         a URL
    <root>/<port>/<object>/dataset/credentials.bin      a credentials document
    <root>/<port>/<object>/application/location.txt     a connected application's domain

Everything else below the root is the application's own. What is written here only its owner can read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import unicodedata
from typing import TYPE_CHECKING

from connectors.errors import ConfigError, InvalidDocument, NotAnObject, ObjectExists, ObjectNotFound
from connectors.names import is_name
from connectors.system.atomic_files import write_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "APPLICATION",
    "CREDENTIALS",
    "DATASET",
    "DEFAULT_ROOT",
    "LOCATION",
    "ROOT_VARIABLE",
    "RUNTIME_CONFIG",
    "application_files",
    "check_paths",
    "dataset_files",
    "write_dataset",
    "write_root",
]

DEFAULT_ROOT = "/opt/fortanix/enclave-os/app-config/rw"
"""Where enclave platforms put the folder."""
ROOT_VARIABLE = "CONNECTORS_APP_CONFIG"
"""The environment variable that names another root."""
RUNTIME_CONFIG = "app-config.json"
"""The file of the whole runtime configuration, below the root."""
DATASET = "dataset"
"""The folder of a connected dataset, below its object's."""
APPLICATION = "application"
"""The folder of a connected application, below its object's."""
LOCATION = "location.txt"
"""The file in either that says where the dataset or the application is."""
CREDENTIALS = "credentials.bin"
"""The file in a dataset's folder that holds its credentials document."""
_NAME_BYTES = 255
"""The longest name that file systems hold."""
_PATH_BYTES, _PATH_PARTS = 2048, 64
"""The longest path below the root: half of what Linux can open, and far fewer folders than Python's stack is deep."""


def dataset_files(port: str, name: str, location: str, credentials: bytes) -> dict[str, bytes]:
    """Return the files of a connected dataset, by their paths below the root.

    >>> list(dataset_files("input", "conditions", "https://example.org/conditions", b"{}"))
    ['input/conditions/dataset/location.txt', 'input/conditions/dataset/credentials.bin']
    """
    folder = f"{port}/{name}/{DATASET}"
    return {f"{folder}/{LOCATION}": location.encode(), f"{folder}/{CREDENTIALS}": credentials}


def application_files(port: str, name: str, domain: str) -> dict[str, bytes]:
    """Return the files of a connected application, by their paths below the root.

    >>> application_files("input", "portal", "portal.example.org")
    {'input/portal/application/location.txt': b'portal.example.org'}
    """
    return {f"{port}/{name}/{APPLICATION}/{LOCATION}": domain.encode()}


def write_dataset(root: str, port: str, name: str, location: str, credentials: bytes, *, replace: bool = False) -> str:
    """Write a dataset's folder, and return its path.

    Location and credentials change together: an application that reads them meanwhile finds the old ones, the new ones
    or, for the moment between two renames, none; never one's location with the other's credentials.

    Args:
        root: the app config folder; made if it is missing.
        port: the port.
        name: the dataset's name on that port.
        location: its URL.
        credentials: its credentials document.
        replace: replace a dataset that is there.

    Raises:
        ConfigError: a port or a dataset cannot be called that.
        ObjectExists: there is one, and it is not to be replaced.
        ObjectNotFound: the folder above the root is missing.
        NotAnObject: a file stands where a folder is needed.
    """
    for what, given in (("port", port), ("dataset", name)):
        if not is_name(given):
            rule = "a name is visible, without slashes, and without dots in front or spaces around it"
            message = f"a {what} cannot be called {given!r}: {rule}"
            raise ConfigError(message)
    target = os.path.join(root, port, name, DATASET)
    exists = f"{target} already exists and was not changed"
    if not replace and os.path.lexists(target):
        raise ObjectExists(exists)
    made: list[str] = []
    appeared = False
    try:
        for folder in (root, os.path.join(root, port), os.path.join(root, port, name)):
            _make_folder(folder, made)
        write_folder(target, {LOCATION: location.encode(), CREDENTIALS: credentials}, replace=replace)
    except FileExistsError:
        appeared = True
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # not empty: another process has begun to use it
                os.rmdir(folder)
        raise
    if appeared:
        raise ObjectExists(exists)
    return target


def _make_folder(folder: str, made: list[str]) -> None:
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        message = f"there is no folder {parent!r} to make {os.path.basename(folder)!r} in"
        raise ObjectNotFound(message)
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:  # perhaps made by another process a moment ago, so nothing is checked before
        exists = True
    else:
        exists = False
        made.append(folder)
    if exists and not os.path.isdir(folder):
        message = f"{folder!r} is not a folder"
        raise NotAnObject(message)


def check_paths(paths: Iterable[str], *, portable: bool = False) -> None:
    """Refuse paths that cannot all be files below one root.

    Args:
        paths: the paths, relative to the root.
        portable: refuse also what only some file systems can hold: long paths, and names that differ only in case or
            in their Unicode normalisation.

    Raises:
        InvalidDocument: a path leads out of the folder or through a file, is too long, or differs from another only in
            ways that file systems ignore.
    """
    listed = list(paths)
    files, folders = set(listed), set()
    for path in listed:
        parts = path.split("/")
        if {"", ".", ".."} & set(parts):
            message = f"{path!r} leads out of the app config folder"
            raise InvalidDocument(message)
        above = ["/".join(parts[:depth]) for depth in range(1, len(parts))]
        folders |= {*above}
        if files & {*above}:
            message = f"a file stands where {path!r} needs a folder"
            raise InvalidDocument(message)
        longest = max(parts, key=lambda part: len(part.encode()))
        if len(longest.encode()) > _NAME_BYTES:
            message = f"the name {longest[:20]!r}… has {len(longest.encode())} bytes; at most {_NAME_BYTES} fit"
            raise InvalidDocument(message)
        if portable and (len(path.encode()) > _PATH_BYTES or len(parts) > _PATH_PARTS):
            message = (
                f"the path {path[:40]!r}… has {len(path.encode())} bytes and {len(parts)} parts; at most "
                f"{_PATH_BYTES} and {_PATH_PARTS} fit on every machine"
            )
            raise InvalidDocument(message)
    alike: dict[str, str] = {}
    for path in sorted(files | folders) if portable else ():
        other = alike.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if other != path:
            message = f"{other!r} and {path!r} are one name to some file systems; rename one"
            raise InvalidDocument(message)


def write_root(root: str, files: Mapping[str, bytes]) -> None:
    """Write a whole app config folder.

    Args:
        root: the folder, which is missing or empty.
        files: the contents of its files, by their paths below the root.

    Raises:
        InvalidDocument: as for `check_paths`.
        ObjectExists: the folder has something in it.
        ObjectNotFound: the folder above it is missing.
    """
    check_paths(files)
    target = os.path.abspath(root)
    parent = os.path.dirname(target)
    if not os.path.isdir(parent):
        message = f"there is no folder {parent} to make {os.path.basename(target)!r} in"
        raise ObjectNotFound(message)
    too_long = False
    taken = os.path.lexists(target) and not (os.path.isdir(target) and not os.listdir(target))
    if not taken:
        try:
            write_folder(target, files)
        except FileExistsError:
            taken = True
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            too_long = True
    if too_long:
        message = f"a path below {target!r} is too long for its file system; name a folder with a shorter path"
        raise InvalidDocument(message)
    if taken:
        message = f"{target} already exists and was not changed; name a new folder or an empty one"
        raise ObjectExists(message)
