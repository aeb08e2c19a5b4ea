"""Writes a file on a WebDAV server: under a staged name, which MOVE turns into the final one."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from connectors.errors import AccessDenied, ConnectorError, NotAnObject, ObjectExists, ObjectNotFound
from connectors.storage import PutSink
from connectors_webdav.location import parent_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage import FileBody
    from connectors_webdav.store import WebDavStore

__all__ = ["WebDavSink", "check_no_folder", "write_staged"]

_LOG = logging.getLogger(__name__)


class WebDavSink(PutSink):
    """A file that is being written. Nothing is sent before `commit`, which creates missing folders.

    Args:
        store: the server.
        path: the file's path.
        exclusive: fail at once if the file exists.
        replace: replace a file; else commit fails if there is one.

    Raises:
        ObjectExists: `exclusive`, and the file exists.
        NotAnObject: the path names a folder.
    """

    def __init__(self, store: WebDavStore, path: str, *, exclusive: bool, replace: bool) -> None:
        self._store = store
        self._path = path
        self._replace = replace
        taken = check_no_folder(store, path)
        if taken and exclusive:
            message = f"{store.shown(path)} already exists, and mode 'xb' does not replace it"
            raise ObjectExists(message)
        super().__init__()

    def send(self, body: FileBody) -> None:
        """Send the file to its staged name, and move it to its final one.

        Raises:
            ObjectExists: the file exists, and is not to be replaced.
            NotSupported: the server cannot write a file of this name.
            StorageUnavailable: no response came: the file may or may not have appeared.
        """
        with contextlib.suppress(AccessDenied):  # who may write need not be allowed to look: PUT decides
            self._store.make_folders(parent_of(self._path))
        write_staged(
            self._store, self._path, lambda staged: self._store.put(staged, body), body.size, replace=self._replace
        )


def check_no_folder(store: WebDavStore, path: str) -> bool:
    """Return whether there is a file; if that cannot be seen, False.

    Raises:
        NotAnObject: there is a folder.
    """
    found = None
    with contextlib.suppress(AccessDenied):
        found = store.describe(path)
    if path == "/" or (found is not None and found.folder):
        message = f"{store.shown(path)} is a folder; name a file in it"
        raise NotAnObject(message)
    return found is not None


def write_staged(
    store: WebDavStore, path: str, write: Callable[[str], None], size: int | None, *, replace: bool
) -> None:
    """Write a file under a staged name and commit it; if that fails, remove the staged file.

    Args:
        store: the server.
        path: the file's final path.
        write: writes the file at the path that it is given.
        size: the file's bytes, or None if that is unknown.
        replace: replace a file.
    """
    store.check_name(path)
    staged = store.stage(path)
    try:
        write(staged)
        if replace:
            check_no_folder(store, path)  # MOVE would replace it, with everything in it
        store.commit(staged, path, size, replace=replace)
    except BaseException:
        try:
            store.remove(staged)
        except ObjectNotFound:
            pass
        except ConnectorError as reason:
            # Not raised, because it would hide the error that led here.
            _LOG.warning("cannot remove the staged file %s; remove it by hand: %s", store.shown(staged), reason)
        raise
