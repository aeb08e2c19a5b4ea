"""The fsspec filesystem of an object store: buckets, and objects whose names make folders.

A folder is a prefix of names: it exists while an object's name begins with it. An empty object whose name ends in a
slash, as the consoles of the clouds and Hadoop make them, marks a folder and is never shown itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors._fsspec import has_magic
from connectors.errors import AccessDenied, CredentialsExpired, NotAnObject, NotSupported, ObjectNotFound
from connectors.storage.filesystem import ObjectFileSystem
from connectors.storage.location import split_path
from connectors.storage.multipart import MultipartSink
from connectors.storage.ranged import RangedSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from connectors.storage.bucket_store import BucketStore, Listed
    from connectors.storage.part_sizes import PartSizes

__all__ = ["BucketFileSystem"]


class BucketFileSystem(ObjectFileSystem):
    """The objects that one account can see. Listings are not cached, and making a folder does nothing.

    Args:
        store: the account's store.
        part_sizes: the sizes of an upload's parts.
    """

    def __init__(self, store: BucketStore, part_sizes: PartSizes) -> None:
        super().__init__()
        self.store = store
        self._part_sizes = part_sizes

    @classmethod
    def _parent(cls, path: str) -> str:
        return str(cls._strip_protocol(path)).rpartition("/")[0]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.store.endpoint}>"

    def __str__(self) -> str:
        return repr(self)

    def open_source(self, path: str) -> RangedSource:
        """Return a source that reads the sealed bytes at a path; makes no request yet.

        Raises:
            NotAnObject: the path names a bucket.
        """
        path = self._strip_protocol(path)
        self._check_object(path)
        return RangedSource(self.store, path)

    def open_sink(self, path: str, *, exclusive: bool = False) -> MultipartSink:
        """Return a sink for the sealed bytes of a new object.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            NotAnObject: the path names a bucket or a folder.
        """
        for scheme in self.schemes:
            path = path.removeprefix(f"{scheme}://")
        return MultipartSink(self, path, self._part_sizes, exclusive=exclusive)

    def _check_object(self, *paths: str) -> None:
        for path in paths:
            if not split_path(path)[1]:
                message = f"{self.store.shown(path)} is a {self.store.bucket_word}; name an object in it"
                raise NotAnObject(message)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Describe the object at a path, or the folder: name, type, size, and for an object its version and times.

        Raises:
            ObjectNotFound: there is neither.
        """
        path = self._strip_protocol(path)
        bucket, key = split_path(path)
        if not bucket:
            return _folder("")
        missing: ObjectNotFound | None = None
        if key:
            try:
                return self._entry(bucket, self.store.describe(path))
            except ObjectNotFound as error:
                missing = error
        if missing is not None and not self.store.lists:
            raise missing
        if not self._any_below(path) and missing is not None:
            raise missing
        return _folder(path)

    def _any_below(self, path: str) -> bool:
        """Return whether an object's name begins with a folder's; raises if the bucket does not exist."""
        return any(page.objects or page.prefixes for page in self.store.pages(path, most=1))

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List the direct members of a folder, or a single object; of no path, the buckets.

        Raises:
            ObjectNotFound: there is neither.
            NotSupported: `options` has one that would change what is listed.
        """
        _check_options(options)
        path = self._strip_protocol(path)
        if not path:
            entries = [_folder(name) for name in self.store.buckets()]
            return entries if detail else [entry["name"] for entry in entries]
        found = {(entry["name"], entry["type"]): entry for entry in self._listed(path, "/")}
        itself = found.pop((path, "directory"), None)
        if not found and itself is None and split_path(path)[1]:
            entry = self.info(path)
            if entry["type"] == "file":
                found[path, "file"] = entry
        return [found[name, kind] if detail else name for name, kind in sorted(found)]

    def _listed(self, path: str, delimiter: str) -> Iterator[dict[str, Any]]:
        """Yield the entries below a folder; of the direct members with a delimiter, folders among them."""
        bucket = split_path(path)[0]
        for page in self.store.pages(path, delimiter):
            yield from (self._entry(bucket, one) for one in page.objects)
            yield from (_folder(f"{bucket}/{one}".rstrip("/")) for one in page.prefixes)

    def _entry(self, bucket: str, listed: Listed) -> dict[str, Any]:
        """Return the fsspec entry of a listed object.

        Raises:
            StorageUnavailable: it has the name of a folder, and bytes.
        """
        name = f"{bucket}/{listed.key}"
        if listed.folder or (name.endswith("/") and not listed.size):
            return _folder(name.rstrip("/"))
        if name.endswith("/"):
            raise self.store.invalid(
                name, f"lists an object with {listed.size} bytes and the name of a folder; move it:"
            )
        return {"name": name, "type": "file", "size": listed.size, **listed.facts}

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **options: Any,
    ) -> Any:
        """List all objects below a folder in one listing, or a single object; finding none is not an error.

        Raises:
            NotSupported: `options` has one that would change what is listed.
        """
        _check_options(options)
        path = self._strip_protocol(path)
        found = self._tree(path, flat=maxdepth != 1)
        if withdirs and found:
            found[path] = found.get(path) or _folder(path)
        if not found and split_path(path)[1] and self._kind(path) == "file":
            found[path] = self.info(path)
        deepest = None if maxdepth is None else path.count("/") + maxdepth
        chosen = {
            name: entry
            for name, entry in sorted(found.items())
            if (withdirs or entry["type"] == "file") and (deepest is None or name.count("/") <= deepest)
        }
        return chosen if detail else list(chosen)

    def _tree(self, path: str, *, flat: bool = True) -> dict[str, dict[str, Any]]:
        """Return everything below a folder by name, folders too; of an object and a folder of one name, the object."""
        if not path:
            message = f"name a {self.store.bucket_word} to list everything in it"
            raise NotSupported(message)
        found: dict[str, dict[str, Any]] = {}
        try:
            for entry in self._listed(path, "" if flat else "/"):
                name, one = entry["name"], entry
                while len(name) > len(path):
                    if one["type"] == "file" or name not in found:
                        found[name] = one
                    name = name.rpartition("/")[0]
                    one = _folder(name)
        except ObjectNotFound:
            return {}
        return found

    def find_all(self, path: str, *, folders: bool) -> dict[str, dict[str, Any]]:
        """Return everything below a folder, or the object itself, by name: all of it, or an error."""
        found: dict[str, dict[str, Any]] = self.find(path, withdirs=folders, detail=True)
        return found

    def created(self, path: str) -> Any:
        """Return when the object was created, according to the store.

        Raises:
            NotSupported: the store does not say.
        """
        return self._time(path, "created")

    def modified(self, path: str) -> Any:
        """Return when the object was last written, according to the store. Raises as `created` does."""
        return self._time(path, "modified")

    def _time(self, path: str, which: str) -> Any:
        entry = self.info(path)
        if entry["type"] != "file":
            message = f"{self.store.shown(path)} is a {self.store.bucket_word} or a folder; name an object in it"
            raise NotAnObject(message)
        if entry.get(which) is None:
            message = f"{self.store.name} does not say when {self.store.shown(path)} was {which}"
            raise NotSupported(message)
        return entry[which]

    def rm_file(self, path: str) -> None:
        """Remove an object.

        Raises:
            ObjectNotFound: there is no such object.
            NotAnObject: the path names a bucket, and buckets are never removed.
        """
        given, path = path, self._strip_protocol(path)
        self._check_object(path)
        if given.endswith("/"):
            message = f"{self.store.shown(given)} is a folder; name an object in it"
            raise NotAnObject(message)
        self.store.remove(path)

    _rm = rm_file

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove objects; with `recursive`, also folders with all objects below them. A path may be a glob pattern.

        Raises:
            ObjectNotFound: nothing is stored at one of the paths.
        """
        for one in [path] if isinstance(path, str) else path:
            given = self._strip_protocol(one)
            names = [given]
            if has_magic(given) and not self.exists(given):
                names = list(self.glob(given, maxdepth=maxdepth))
                if not names:
                    message = f"nothing is stored at {self.store.shown(given)}"
                    raise ObjectNotFound(message)
            for name in names:
                if recursive:
                    self._rm_tree(name, maxdepth, itself=not str(one).endswith("/"))
                else:
                    self.rm_file(one if name == given else name)

    def _rm_tree(self, path: str, maxdepth: int | None, *, itself: bool) -> None:
        bucket, key = split_path(path)
        listed = [one for page in self.store.pages(path) for one in page.objects]
        found = {f"{bucket}/{one.key}": one.folder or one.key.endswith("/") for one in listed}
        if maxdepth is not None:
            deepest = path.count("/") + maxdepth
            found = {name: folder for name, folder in found.items() if name.rstrip("/").count("/") <= deepest}
        if key and itself:
            found |= self._stored(path)
        if not found and not self.exists(path):
            message = f"nothing is stored at {self.store.shown(path)}"
            raise ObjectNotFound(message)
        # First the objects, then those that mark folders: nested ones before those that contain them.
        self.store.remove_all([name for name, folder in found.items() if not folder])
        folders = [name for name, folder in found.items() if folder]
        for name in sorted(folders, key=lambda one: (-one.count("/"), one)):
            self.store.remove_all([name])

    def _stored(self, path: str) -> dict[str, bool]:
        """Return the object at a path, if there is one, and whether it marks a folder."""
        try:
            return {path: self.store.describe(path).folder}
        except ObjectNotFound:
            return {}
        except AccessDenied as error:
            if isinstance(error, CredentialsExpired):
                raise
            return {path: False}  # the removal decides

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        """Copy an object within the store.

        Raises:
            ObjectNotFound: nothing is stored at `path1`.
            NotAnObject: one of the paths names a bucket.
        """
        path, target = self._strip_protocol(path1), self._strip_protocol(path2)
        self._check_object(path, target)
        self.store.copy(path, target)


def _check_options(options: dict[str, Any]) -> None:
    """Check that a listing is asked for nothing that it does not do, such as old versions or only some objects.

    Raises:
        NotSupported: it is.
    """
    for name, value in options.items():
        if value and name != "refresh":  # fsspec's own, for listings that are cached
            message = f"listings are complete and have no options; leave out {name}"
            raise NotSupported(message)


def _folder(path: str) -> dict[str, Any]:
    return {"name": path, "type": "directory", "size": 0}
