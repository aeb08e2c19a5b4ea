"""fsspec's methods that look at several paths, each of them complete or an error.

fsspec's own omit a folder whose listing was refused, skip what they do not find, and then remove what they have not
copied.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from connectors._fsspec import (
    AbstractFileSystem,
    FSMap,
    LocalFileSystem,
    has_magic,
    other_paths,
)
from connectors.errors import (
    AccessDenied,
    ConfigError,
    CredentialsExpired,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
)
from connectors.storage.trees import folder_links
from connectors.system.local_names import check_targets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


__all__ = ["CompleteView"]


class _Mapping(FSMap):
    """fsspec's mapping of names to bytes; `clear` raises an error where fsspec's ignores it."""

    def clear(self) -> None:
        """Remove everything."""
        for name in self.fs.find(self.root):
            self.fs.rm_file(name)


class CompleteView(AbstractFileSystem):
    """The base of filesystems whose listings, copies and moves are complete. A subclass defines `info` and `ls`."""

    def walk(
        self,
        path: str,
        maxdepth: int | None = None,
        topdown: bool = True,  # noqa: FBT001, FBT002 - fsspec's signature
        on_error: str | Callable[[OSError], object] = "raise",
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Yield each folder below a path with the names of its folders and objects.

        Args:
            path: the folder.
            maxdepth: the number of levels.
            topdown: yield a folder before those in it.
            on_error: "raise" raises an error of a listing; "omit" omits folders that do not exist, and raises all other
                errors; a function is called with the error of any listing, and the folder is omitted.
            kwargs: those of `ls`; `detail` for entries in place of names.
        """
        given: Callable[[OSError], object] | str = on_error if callable(on_error) else "raise"
        if on_error == "omit" and not self.exists(path):
            return
        yield from super().walk(path, maxdepth=maxdepth, topdown=topdown, on_error=given, **kwargs)

    def walked(self, path: str, *args: Any, **kwargs: Any) -> list[Any]:
        """Return what `walk` yields."""
        return list(self.walk(path, *args, **kwargs))

    def glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        """Return the paths that match a pattern."""
        kwargs.pop("prefix", None)  # a hint of fsspec's for object stores
        return super().glob(path, maxdepth=maxdepth, **kwargs)

    def expand_path(self, path: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> list[str]:  # noqa: FBT001, FBT002
        """Return the paths that match a path, a pattern or a list of them.

        Raises:
            ObjectNotFound: nothing matches.
        """
        try:
            return super().expand_path(path, recursive=recursive, maxdepth=maxdepth, **kwargs)
        except FileNotFoundError as error:
            missing = error if isinstance(error, ObjectNotFound) else ObjectNotFound(f"nothing is stored at {path}")
        if isinstance(path, str) and not has_magic(path):
            self.info(path)  # its error says more
        raise missing

    def copy(
        self,
        path1: Any,
        path2: Any,
        recursive: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        maxdepth: int | None = None,
        on_error: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects; with `recursive`, everything in a folder.

        Args:
            path1: a path, a pattern or a list of them.
            path2: the destination: a path, a folder, or a list of as many paths.
            recursive: also copy what is in a folder.
            maxdepth: the number of levels.
            on_error: "ignore" skips objects that do not exist; otherwise they are an error, also with `recursive`.
            kwargs: those of `cp_file`.

        Raises:
            ConfigError: two objects have the same destination, or one's is another's path. Nothing was copied.
            NotSupported: a link to a folder is among them. Nothing was copied.
        """
        for original, copy in self._copies(path1, path2, recursive=recursive, maxdepth=maxdepth):
            try:
                self._copy_one(original, copy, **kwargs)
            except FileNotFoundError:
                if on_error != "ignore":
                    raise

    def _copy_one(self, original: str, copy: str, **kwargs: Any) -> None:
        """Copy an object; for a folder, make one."""
        try:
            self.cp_file(original, copy, **kwargs)
        except (ObjectNotFound, NotAnObject) as error:
            raised = error
        else:
            return
        if not self.isdir(original):
            raise raised
        self.makedirs(copy, exist_ok=True)

    def _copies(self, path1: Any, path2: Any, *, recursive: bool, maxdepth: int | None) -> list[tuple[str, str]]:
        """Return what to copy, and where to, by fsspec's rules for `copy`.

        Raises:
            ConfigError: a copy would replace another copy, or an original.
        """
        copies = self.matched(path1, path2, self, self, recursive=recursive, maxdepth=maxdepth)
        originals = {self._strip_protocol(original) for original, _ in copies}
        targets: set[str] = set()
        for original, copy in copies:
            target = self._strip_protocol(copy)
            if target in targets or (target in originals and target != self._strip_protocol(original)):
                message = f"{copy} would be replaced by another of these objects; copy or move them one by one"
                raise ConfigError(message)
            targets.add(target)
        return copies

    @staticmethod
    def matched(
        path1: Any,
        path2: Any,
        source: AbstractFileSystem,
        target: AbstractFileSystem,
        *,
        recursive: bool,
        maxdepth: int | None,
    ) -> list[tuple[str, str]]:
        """Return the paths that a path means in one filesystem, each with its destination in another."""
        if isinstance(path1, list) and isinstance(path2, list):
            return list(zip(path1, path2, strict=True))
        single = isinstance(path1, str)
        if single and not recursive and not has_magic(path1) and isinstance(source, LocalFileSystem):
            originals = [path1] if os.path.exists(path1) else source.expand_path(path1)
        else:
            originals = source.expand_path(path1, recursive=recursive, maxdepth=maxdepth)
        if single and (not recursive or maxdepth is not None):
            originals = [one for one in originals if not (one.endswith("/") or source.isdir(one))]
        if not originals:
            return []
        _check_links(source, path1, originals)
        into = isinstance(path2, str) and _leads_into(target, path2)
        magic = single and has_magic(path1)
        below = single and (len(originals) == 1 if magic else into and not path1.endswith("/"))
        return list(zip(originals, other_paths(originals, path2, exists=below, flatten=not single), strict=True))

    def folder_links(self, paths: list[str]) -> list[str]:  # noqa: ARG002 - there are none
        """Return those of the paths that are links to folders, which listings do not follow."""
        return []

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Move objects: copy all of them, verify all copies, and only then remove the originals.

        If this raises before the first removal, all originals are untouched, and copies may be left. What appears in a
        folder while it is moved stays there.

        Raises:
            ConfigError: two objects have the same destination, or one's is another's path. Nothing was copied.
            NotSupported: a link to a folder is among them. Nothing was copied.
            ObjectChanged: a copy is not the same as its original.
        """
        copies = [
            (original, copy)
            for original, copy in self._copies(path1, path2, recursive=recursive, maxdepth=maxdepth)
            if self._strip_protocol(original) != self._strip_protocol(copy)
        ]
        objects = [(original, copy) for original, copy in copies if not self.isdir(original)]
        folders = {original for original, _ in copies}.difference(original for original, _ in objects)
        for original, copy in copies:
            self._copy_one(original, copy, **kwargs)
        for original, copy in objects:
            self._check_copy(original, copy)
        for original, _ in objects:
            self.rm_file(original)
        for folder in sorted(folders, reverse=True):
            with contextlib.suppress(OSError):  # not empty, or the storage has no folders
                self.rmdir(folder)

    def _check_copy(self, original: str, copy: str) -> None:
        """Check that a copy is the same as its original, before that is removed.

        Raises:
            ObjectChanged: it is not.
        """
        if self.info(original)["size"] != self.info(copy)["size"]:
            message = f"the copy {copy} is not the same as {original}; nothing was removed"
            raise ObjectChanged(message)

    def check_local(self, copies: list[tuple[str, Any]]) -> None:
        """Check that all copies can be local files, before the first is written."""
        originals: dict[str, str] = {}
        for original, copy in copies:
            if isinstance(copy, (str, os.PathLike)):  # or an open file
                other = originals.setdefault(os.path.abspath(copy), original)
                if other != original:
                    message = f"{other} and {original} would both be written to {copy}; copy them to two folders"
                    raise ConfigError(message)
        folders = {above for local in originals for above in _folders_above(local)}.intersection(originals)
        both = self._objects_at([originals[local] for local in folders])
        check_targets([local for local, one in originals.items() if local not in folders or one in both])

    def _objects_at(self, folders: list[str]) -> set[str]:
        """Return the paths of folders at which there is an object too."""
        parents = {self._parent(one) for one in folders}.intersection(folders)
        listed = {
            entry["name"] for parent in parents for entry in self.ls(parent, detail=True) if entry["type"] == "file"
        }
        return {one for one in folders if (one in listed if self._parent(one) in parents else self.isfile(one))}

    def check_targets_differ(self, copies: list[tuple[Any, str]]) -> None:
        """Check that no two copies have one destination.

        Raises:
            ConfigError: two do.
        """
        sources: dict[str, Any] = {}
        for source, target in copies:
            if sources.setdefault(self._strip_protocol(target), source) != source:
                message = f"{target} would be replaced by another of these files; copy them to two folders"
                raise ConfigError(message)

    def get_mapper(
        self,
        root: str = "",
        check: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        create: bool = False,  # noqa: FBT001, FBT002
        missing_exceptions: tuple[type[Exception], ...] | None = None,
    ) -> FSMap:
        """Return a mapping from names below `root` to the bytes of the objects."""
        return _Mapping(root, self, check, create, missing_exceptions)


def _leads_into(fs: AbstractFileSystem, path: str) -> bool:
    """Return whether a copy to a path goes into a folder there; not if the storage lets nobody look."""
    if path.endswith("/"):
        return True
    try:
        return fs.isdir(path)
    except CredentialsExpired:
        raise
    except AccessDenied:
        return False  # writing does not need permission to read


def _check_links(source: AbstractFileSystem, given: Any, originals: list[str]) -> None:
    """Check that no link to a folder is among what to copy, unless it was given by its own name.

    Raises:
        NotSupported: there is one. Its content is not listed, so the copy would be an empty folder.
    """
    named = {source._strip_protocol(one) for one in ([given] if isinstance(given, str) else given)}  # noqa: SLF001
    found = [one for one in originals if one.rstrip("/") not in named]
    links = source.folder_links(found) if isinstance(source, CompleteView) else folder_links(source, found)
    if links:
        message = (
            f"{links[0]} is a link to a folder, which is copied only by its own name; copy it by itself, or remove it"
        )
        raise NotSupported(message)


def _folders_above(path: str) -> Iterator[str]:
    """Yield the folder of a path, the folder of that, and so on."""
    while (above := os.path.dirname(path)) != path:
        yield above
        path = above
