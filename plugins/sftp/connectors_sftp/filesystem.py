"""The fsspec filesystem of the sealed files on an SFTP server."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import asyncssh

from connectors.errors import NotSupported, ObjectNotFound
from connectors.storage import MultipartSink, ObjectFileSystem
from connectors_sftp import names
from connectors_sftp.sessions import Sessions
from connectors_sftp.source import SFTPSource
from connectors_sftp.store import PARTS, SFTPStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from connectors_sftp.credentials import SFTPCredentials
    from connectors_sftp.error_mapping import Action
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
        return self._entry(path, self.store.sessions.run(path, "read", lambda session: names.found_at(session, path)))

    def _entry(self, path: str, found: asyncssh.SFTPAttrs | None) -> dict[str, Any]:
        if found is None:
            message = f"nothing is stored at {self.store.shown(path)}"
            raise ObjectNotFound(message)
        kind = names.kind_of(found)
        size = (found.size or 0) if kind == "file" else 0
        return {"name": path, "size": size, "type": kind, "mtime": found.mtime}

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
            members = await names.scan(session, path)
        except asyncssh.SFTPError:
            found = await names.found_at(session, path)
            if found is not None and names.kind_of(found) == "directory":
                raise
        else:
            there = [(f"{path.rstrip('/')}/{name}", one) for name, one in members if not names.STAGED.fullmatch(name)]
            return [self._entry(inside, await self._followed(session, inside, one)) for inside, one in there]
        return [self._entry(path, found)]

    @staticmethod
    async def _followed(session: Session, path: str, found: asyncssh.SFTPAttrs) -> asyncssh.SFTPAttrs:
        """Return the attributes of the file that a link points to; otherwise those that were found."""
        target = await names.found_at(session, path) if names.kind_of(found) == "other" else None
        return target if target is not None and names.kind_of(target) == "file" else found

    def folder_links(self, paths: list[str]) -> list[str]:
        """Return those of the paths that are links to folders."""
        return self.store.sessions.run(paths[0], "list", lambda session: names.folder_links(session, paths))

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
        message = f"SFTP does not say when {self.store.shown(self._strip_protocol(path))} was created"
        raise NotSupported(message)

    # Bytes.

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file, completely or not at all, within the server if it supports that."""
        self.store.copy(self._strip_protocol(path1), self._strip_protocol(path2))

    # Names.

    def _once(self, path: str, action: Action, call: Callable[[Session], Awaitable[object]]) -> None:
        self.store.sessions.run(path, action, call, retry=False)

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Rename a file or folder; a file replaces an existing one. The matches of a pattern are copied and removed."""
        if self.exists(path1):
            self.rename_all(path1, path2)
        else:
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)

    def rename_all(self, old: str, new: str) -> None:
        """Rename a file or folder, into `new` if that is a folder; a file replaces an existing one.

        Raises:
            ObjectNotFound: there is neither.
        """
        into = new.endswith("/") or self.isdir(new)
        old, new = self._strip_protocol(old), self._strip_protocol(new)
        if into:
            new = f"{new.rstrip('/')}/{old.rpartition('/')[2]}"
        self._once(new, "write", lambda session: self._rename(session, old, new))

    async def _rename(self, session: Session, old: str, new: str) -> None:
        if await names.found_at(session, old, follow=False) is None:
            message = f"nothing is stored at {session.shown(old)}"
            raise ObjectNotFound(message)
        await names.make_folders(session, names.parent_of(new), [])
        await names.replace(session, old, new)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Make a folder.

        Raises:
            ObjectExists: something is stored there.
        """
        path = self._strip_protocol(path)
        self._once(path, "write", lambda session: names.make_folder(session, path, parents=create_parents))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - fsspec's signature
        """Make a folder and those above it.

        Raises:
            ObjectExists: it exists, and not `exist_ok`.
            NotAnObject: there is a file in place of a folder.
        """
        path = self._strip_protocol(path)
        if exist_ok:
            self._once(path, "write", lambda session: names.make_folders(session, path, []))
        else:
            self.mkdir(path)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        path = self._strip_protocol(path)
        self._once(path, "remove", lambda session: session.ask(session.sftp.rmdir(path)))

    def rm_file(self, path: str) -> None:
        """Remove a file, or a link itself.

        Raises:
            ObjectNotFound: there is no such file.
            NotAnObject: it is a folder.
        """
        self._remove(self._strip_protocol(path))

    def _remove(self, path: str, *, recursive: bool = False) -> None:
        self._once(path, "remove", lambda session: names.remove(session, path, recursive=recursive))

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

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.store.sessions.endpoint}>"
