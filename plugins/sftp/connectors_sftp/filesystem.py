"""The fsspec filesystem of the sealed files on an SFTP server."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import NotSupported, ObjectNotFound
from connectors.storage import MultipartSink, ObjectFileSystem
from connectors_sftp.names import (
    STAGED,
    found_at,
    kind_of,
    make_folder,
    make_folders,
    parent_of,
    remove,
    replace,
    scan,
)
from connectors_sftp.sessions import Sessions
from connectors_sftp.source import SFTPSource
from connectors_sftp.store import PARTS, SFTPStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors_sftp.credentials import SFTPCredentials
    from connectors_sftp.location import Endpoint
    from connectors_sftp.sessions import Session

__all__ = ["SFTP"]


class SFTP(ObjectFileSystem):
    """The sealed files on an SFTP server that one user can see; paths are absolute.

    Staged files are not listed. A link to a file is treated as the file. A link to a folder is listed as neither file
    nor folder, so that listings do not run in circles and nothing is removed through the link.

    Args:
        endpoint: the server.
        credentials: the user's, with the expected host keys.

    Raises:
        InvalidCredentials: the private key cannot be read, or its passphrase is wrong.
    """

    schemes = ("sftp", "ssh")
    root_marker = "/"

    def __init__(self, endpoint: Endpoint, credentials: SFTPCredentials) -> None:
        super().__init__()
        self._endpoint = endpoint
        self.store = SFTPStore(Sessions(endpoint, credentials))

    def open_source(self, path: str) -> SFTPSource:
        """Return a source that reads the sealed bytes of a file by ranges.

        Raises:
            ObjectNotFound, NotAnObject, AccessDenied: there is no such file, or it may not be read.
        """
        return SFTPSource(self.store.sessions, self._strip_protocol(path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> MultipartSink:
        """Return a sink for the sealed bytes of a new file; its folders are created with it.

        Raises:
            ObjectExists: `exclusive`, and the file exists.
            NotAnObject, NotSupported: there is something else than a file.
        """
        return MultipartSink(self, self._strip_protocol(path), PARTS, exclusive=exclusive)

    # Listing.

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the name, size in bytes, type and modification time of what is stored at a path.

        Raises:
            ObjectNotFound: there is nothing.
        """
        path = self._strip_protocol(path)
        found = self.store.sessions.run(path, "read", lambda session: found_at(session, path))
        if found is None:
            raise self._missing(path)
        return _entry(path, found)

    def _missing(self, path: str) -> ObjectNotFound:
        return ObjectNotFound(f"nothing is stored at {self._endpoint.shown(path)}")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List a folder, or a single file.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        entries = self.store.sessions.run(path, "list", lambda session: self._list(session, path))
        return entries if detail else [entry["name"] for entry in entries]

    async def _list(self, session: Session, path: str) -> list[dict[str, Any]]:
        try:
            members = await scan(session, path)
        except asyncssh.SFTPError as error:
            refused = error
        else:
            inside = [(f"{path.rstrip('/')}/{name}", found) for name, found in members if not STAGED.fullmatch(name)]
            return [await self._listed(session, name, found) for name, found in inside]
        found = await found_at(session, path)
        if found is None:
            raise self._missing(path)
        if kind_of(found) == "directory":
            raise refused
        return [_entry(path, found)]

    @staticmethod
    async def _listed(session: Session, path: str, attributes: asyncssh.SFTPAttrs) -> dict[str, Any]:
        if kind_of(attributes) == "other":
            target = await found_at(session, path)
            if target is not None and kind_of(target) == "file":
                attributes = target
        return _entry(path, attributes)

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name: all of it, or an error."""
        found: dict[str, dict[str, Any]] = self.find(path, withdirs=folders, detail=True)
        return found

    def modified(self, path: str) -> dt.datetime:
        """Return when a file was last written, in whole seconds."""
        seconds = self.info(path)["mtime"]
        return dt.datetime.fromtimestamp(seconds or 0, tz=dt.UTC)

    def created(self, path: str) -> dt.datetime:
        """Refuse, because SFTP has no creation time.

        Raises:
            NotSupported: always.
        """
        message = f"SFTP does not say when {self._endpoint.shown(self._strip_protocol(path))} was created"
        raise NotSupported(message)

    # Bytes.

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file, completely or not at all, within the server if it supports that."""
        self.store.copy(self._strip_protocol(path1), self._strip_protocol(path2))

    # Names.

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Rename a file or folder; a file replaces an existing one. The matches of a pattern are copied and removed."""
        old = self._strip_protocol(path1)
        if not self.exists(old):
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
            return
        self.rename_all(path1, path2)

    def rename_all(self, old: str, new: str) -> None:
        """Rename a file or folder, into `new` if that is a folder; a file replaces an existing one.

        Raises:
            ObjectNotFound: there is neither.
        """
        into = new.endswith("/") or self.isdir(new)
        old, new = self._strip_protocol(old), self._strip_protocol(new)
        if into:
            new = f"{new.rstrip('/')}/{old.rpartition('/')[2]}"
        self.store.sessions.run(new, "write", lambda session: self._rename(session, old, new), retry=False)

    async def _rename(self, session: Session, old: str, new: str) -> None:
        await make_folders(session, parent_of(new))
        await replace(session, old, new)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Make a folder.

        Raises:
            ObjectExists: something is stored there.
        """
        path = self._strip_protocol(path)
        self.store.sessions.run(
            path, "write", lambda session: make_folder(session, path, parents=create_parents), retry=False
        )

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Make a folder and those above it.

        Raises:
            ObjectExists: it exists, and not `exist_ok`.
            NotAnObject: there is a file in place of a folder.
        """
        path = self._strip_protocol(path)
        if not exist_ok:
            self.mkdir(path)
        else:
            self.store.sessions.run(path, "write", lambda session: make_folders(session, path), retry=False)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        path = self._strip_protocol(path)
        self.store.sessions.run(path, "remove", lambda session: session.ask(session.sftp.rmdir(path)), retry=False)

    def rm_file(self, path: str) -> None:
        """Remove a file, or a link itself.

        Raises:
            ObjectNotFound: there is no such file.
            NotAnObject: it is a folder.
        """
        self._remove(self._strip_protocol(path), recursive=False)

    def _remove(self, path: str, *, recursive: bool) -> None:
        self.store.sessions.run(path, "remove", lambda session: remove(session, path, recursive=recursive), retry=False)

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove files, and with `recursive` folders with their content, staged files included.

        Raises:
            ObjectNotFound: there is nothing to remove.
            NotAnObject: it is a folder, and not `recursive`.
            NotSupported: `maxdepth` is given.
        """
        if maxdepth is not None:
            message = "folders are removed with all their content; leave maxdepth out"
            raise NotSupported(message)
        for one in [path] if isinstance(path, str) else path:
            whole = self._strip_protocol(one)
            # A name that exists is not a pattern, whatever characters it has.
            matching = [] if self.exists(whole) else self.glob(whole)
            for each in matching or [whole]:
                self._remove(each, recursive=recursive)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        """Return the absolute path for a path or a location."""
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = str(path)
        for scheme in ("sftp://", "ssh://"):
            if text.startswith(scheme):
                text = text.removeprefix(scheme).partition("/")[2]
        text = text.rstrip("/")
        return text if text.startswith("/") else f"/{text}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self._endpoint}>"


def _entry(path: str, attributes: asyncssh.SFTPAttrs) -> dict[str, Any]:
    kind = kind_of(attributes)
    size = (attributes.size or 0) if kind == "file" else 0
    return {"name": path, "size": size, "type": kind, "mtime": attributes.mtime}
