"""The fsspec filesystem of the sealed files on a WebDAV server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.errors import NotSupported, ObjectNotFound
from connectors.storage import ObjectFileSystem, RangedSource
from connectors_webdav.signer import signer_for
from connectors_webdav.sink import WebDavSink, check_no_folder, write_staged
from connectors_webdav.store import WebDavStore

if TYPE_CHECKING:
    from connectors.storage import Limits
    from connectors_webdav.credentials import WebDavCredentials
    from connectors_webdav.listing import Found
    from connectors_webdav.location import Place

__all__ = ["WebDavFileSystem"]


class WebDavFileSystem(ObjectFileSystem):
    """The files on a server that one user can see; paths are absolute. Listings are not cached.

    Args:
        place: the server; its path does not matter.
        credentials: the user's.
        limits: timeouts, or None for the defaults.

    Attributes:
        atomic_replace: whether MOVE replaces a file in one step; RFC 4918 lets a server remove it first.
        exclusive_create: whether the server refuses one of two MOVEs to one name; RFC 4918 does not say.
    """

    schemes = ("webdavs", "webdav")
    root_marker = "/"

    def __init__(self, place: Place, credentials: WebDavCredentials, limits: Limits | None = None) -> None:
        super().__init__()
        self.atomic_replace = credentials.atomic_replace
        self.exclusive_create = credentials.exclusive_create
        self.store = WebDavStore(place, signer_for(credentials), limits)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.store.shown('/')}>"

    __str__ = __repr__

    def open_source(self, path: str) -> RangedSource:
        """Return a source that reads the sealed bytes of a file by ranges; makes no request yet."""
        return RangedSource(self.store, self._strip_protocol(path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> WebDavSink:
        """Return a sink for the sealed bytes of a new file.

        Raises:
            ObjectExists: `exclusive`, and the file exists.
            NotAnObject: the path names a folder.
            NotSupported: `exclusive`, which the server does not promise.
        """
        if exclusive and not self.exclusive_create:
            message = f"mode 'xb' is not supported for {self.store.shown(path)}: two writers could both succeed"
            raise NotSupported(message)
        replace = self.atomic_replace and not exclusive
        return WebDavSink(self.store, self._strip_protocol(path), exclusive=exclusive, replace=replace)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy a file on the server; the copy appears whole, or not at all.

        Raises:
            ObjectExists: there is a file at `path2`, and the server does not promise to replace it in one step.
        """
        path, target = self._strip_protocol(path1), self._strip_protocol(path2)
        write_staged(
            self.store, target, lambda staged: self.store.copy(path, staged), None, replace=self.atomic_replace
        )

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Return the name, type, size, ETag and modification time of a file or folder.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        found = self.store.describe(path)
        if found is None:
            message = f"nothing is stored at {self.store.shown(path)}"
            raise ObjectNotFound(message)
        return _entry(found)

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List the members of a folder, or a single file.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        try:
            entries = [_entry(one) for one in self.store.members(path)]
        except ObjectNotFound:
            entries = [self.info(path)]  # some servers find no file under a name with a slash
        entries.sort(key=lambda entry: str(entry["name"]))
        return entries if detail else [entry["name"] for entry in entries]

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - fsspec's signature
        """Make a folder and its missing parents; one that exists is no error."""
        self.store.make_folders(self._strip_protocol(path))

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:  # noqa: ARG002, FBT001, FBT002
        """Make a folder, as `makedirs` does."""
        self.makedirs(path)

    def rm_file(self, path: str) -> None:
        """Remove a file. Folders stay: WebDAV removes them only with whatever has just been written to them.

        Raises:
            ObjectNotFound: there is no such file.
            NotAnObject: it is a folder.
        """
        path = self._strip_protocol(path)
        check_no_folder(self.store, path)
        self.store.remove(path)

    _rm = rm_file


def _entry(found: Found) -> dict[str, Any]:
    facts = {"ETag": found.etag or None, "modified": found.modified}
    kind, size = ("directory", 0) if found.folder else ("file", found.size)
    return {"name": found.path, "type": kind, "size": size, **facts}
