"""Lay a dataset's folder down in an app config: whole or not at all, and private."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from connectors.cli.common.private_files import sync_folder
from connectors.errors import ConfigError, NotAnObject, ObjectExists, ObjectNotFound
from connectors.names import is_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lay_down"]


def lay_down(root: str, port: str, name: str, files: Mapping[str, bytes], *, force: bool) -> str:
    """Write ``<root>/<port>/<name>/dataset`` with `files` in it, and return its path.

    Both files change together: an application that reads them meanwhile sees the old ones, the new ones or, for the
    moment between two renames, none; never the one's location with the other's credentials.

    Raises:
        ConfigError: a port or a dataset cannot be called that.
        ObjectExists: there is one, and it was not to be replaced.
        ObjectNotFound: the folder that `root` should stand in does not exist.
    """
    for what, given in (("port", port), ("dataset", name)):
        if not is_name(given):
            rule = "a name is visible, without slashes, and without dots in front or spaces around it"
            message = f"a {what} cannot be called {given!r}: {rule}"
            raise ConfigError(message)
    target = os.path.join(root, port, name, "dataset")
    if not force and os.path.lexists(target):
        message = f"{target} exists already and stays as it is; --force replaces it"
        raise ObjectExists(message)
    made: list[str] = []
    try:
        for folder in (root, os.path.join(root, port), os.path.join(root, port, name)):
            _make_folder(folder, made)
        _place(target, files)
    except BaseException:
        for folder in reversed(made):
            with contextlib.suppress(OSError):  # not empty: somebody else has begun to use it
                os.rmdir(folder)
        raise
    return target


def _make_folder(folder: str, made: list[str]) -> None:
    if os.path.isdir(folder):
        return
    if os.path.lexists(folder):
        message = f"{folder!r} is not a folder"
        raise NotAnObject(message)
    parent = os.path.dirname(os.path.abspath(folder))
    if not os.path.isdir(parent):
        message = f"there is no folder {parent!r} to make {os.path.basename(folder)!r} in"
        raise ObjectNotFound(message)
    os.mkdir(folder, 0o700)
    made.append(folder)


def _place(target: str, files: Mapping[str, bytes]) -> None:
    """Fill a folder beside the target and rename it into place; what stood there comes back if that fails."""
    folder = os.path.dirname(target)
    # A dot in front: the app config does not take it for anything of its own.
    staging = tempfile.mkdtemp(prefix=".dataset.", suffix=".part", dir=folder)
    try:
        fresh, old = os.path.join(staging, "new"), os.path.join(staging, "old")
        os.mkdir(fresh, 0o700)
        for name, data in files.items():
            descriptor = os.open(os.path.join(fresh, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(fresh)
        replaces = os.path.lexists(target)
        if replaces:
            os.rename(target, old)
        try:
            os.rename(fresh, target)
        except BaseException:
            if replaces:
                os.rename(old, target)
            raise
        sync_folder(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
