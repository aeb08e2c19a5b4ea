"""fsspec's methods for many files, several of which travel at once where a network is waited for."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from connectors._fsspec import DEFAULT_CALLBACK, LocalFileSystem, has_magic, local_path
from connectors.errors import NotAnObject, ObjectNotFound
from connectors.fs.complete import CompleteView
from connectors.fs.progress import InTurn
from connectors.storage.trees import list_tree
from connectors.streams import read_ranges
from connectors.streams.executor import submit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from connectors._fsspec import Callback
    from connectors.streams import SealedObject

__all__ = ["OVER_A_NETWORK", "ManyFilesView"]

OVER_A_NETWORK = 8
"""Files that travel at once: more would mostly wait for the global interpreter lock."""
_READ_AT_ONCE = 256
"""Objects that `cat` opens before it returns their buffers."""


class ManyFilesView(CompleteView):
    """Copies, reads and writes many files. A subclass defines `get_file`, `put_file`, `pipe_file` and `_open_object`.

    Attributes:
        at_once: files that travel at once.
    """

    at_once = 1

    def one_manifest(self) -> AbstractContextManager[Any]:
        """Return a context that writes the manifests of changed folders at its end."""
        return nullcontext()

    def _open_object(self, path: str) -> SealedObject:
        """Open an object for reading by ranges."""
        raise NotImplementedError

    def get(
        self,
        rpath: Any,
        lpath: Any,
        recursive: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy objects to local files; with `recursive`, everything in a folder.

        Args:
            rpath: a path, a pattern or a list of them.
            lpath: the destination: a local path, a folder, or a list of as many paths.
            recursive: also copy what is in a folder.
            callback: an `fsspec.Callback` that counts the objects. What its `branched` returns for each of them counts
                that one's bytes; it may be called by several threads, one at a time.
            maxdepth: the number of levels.
            kwargs: those of `get_file`.

        Raises:
            ConfigError: two objects cannot both be local files: ``a`` beside ``a/b``, or names that are one file to the
                local filesystem. Nothing was written.
            NotSupported: a link to a folder is among them. Nothing was written.
        """
        if isinstance(lpath, (str, os.PathLike)):
            lpath = local_path(os.fspath(lpath))
        copies = self.matched(rpath, lpath, self, LocalFileSystem(), recursive=recursive, maxdepth=maxdepth)
        self.check_local(copies)
        self._each(functools.partial(self.get_file, **kwargs), copies, callback)

    def put(
        self,
        lpath: Any,
        rpath: Any,
        recursive: bool = False,  # noqa: FBT001, FBT002
        callback: Callback = DEFAULT_CALLBACK,
        maxdepth: int | None = None,
        **kwargs: Any,
    ) -> None:
        """Copy local files in; with `recursive`, everything in a folder.

        Raises:
            ConfigError: two files have the same destination; nothing was written.
            StorageError: a local folder cannot be listed; nothing was written.
            NotSupported: a link to a folder is among the files; nothing was written.
        """
        if isinstance(lpath, (str, os.PathLike)):
            lpath = local_path(os.fspath(lpath))
            if recursive and not has_magic(lpath):
                # fsspec's own would omit a folder that it cannot list.
                list_tree(LocalFileSystem(), os.path.abspath(lpath), depth=maxdepth)
        copies = self.matched(lpath, rpath, LocalFileSystem(), self, recursive=recursive, maxdepth=maxdepth)
        self.check_targets_differ(copies)
        with self.one_manifest():
            self._each(functools.partial(self.put_file, **kwargs), copies, callback)

    def pipe(self, path: str | dict[str, bytes], value: bytes | None = None, **kwargs: Any) -> None:
        """Write a whole file, or many: a mapping of paths to bytes."""
        given = {path: value or b""} if isinstance(path, str) else path

        def write(target: str, data: bytes, callback: Callback) -> None:  # noqa: ARG001 - as of the other methods
            self.pipe_file(target, data, **kwargs)

        with self.one_manifest():
            self._each(write, [(self._strip_protocol(one), data) for one, data in given.items()], DEFAULT_CALLBACK)

    def _each(self, work: Callable[..., object], pairs: Sequence[tuple[Any, Any]], callback: Callback) -> None:
        """Call `work` with each pair; after an error, no more are started, and the first one in their order is raised.

        The callback counts the files; what it branches for each of them counts that file's bytes as they pass.
        """
        callback.set_size(len(pairs))
        if self.at_once == 1 or len(pairs) == 1:
            for pair in callback.wrap(pairs):
                with callback.branched(*pair) as child:
                    work(*pair, callback=child)
            return
        in_turn = InTurn(callback)

        def work_on(pair: tuple[Any, Any]) -> None:
            with in_turn.branched(*pair) as child:
                work(*pair, callback=child)

        with ThreadPoolExecutor(self.at_once, "connectors-files") as pool:
            started = [submit(pool, work_on, pair) for pair in pairs]
            try:
                for done in as_completed(started):
                    if done.exception() is not None:
                        break
                    in_turn.relative_update()
            finally:
                for one in started:
                    one.cancel()
        for one in started:
            if not one.cancelled():
                one.result()

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """Return the bytes of a file, or of many by their paths.

        Args:
            path: a path, a pattern or a list of them.
            recursive: read what is in a folder.
            on_error: "raise" raises the first error, "omit" leaves out what cannot be read, "return" returns the error
                in place of the bytes.
            kwargs: those of `cat_file`: `start` and `end`.
        """
        paths = self.expand_path(path, recursive=recursive)
        if len(paths) == 1 and not isinstance(path, list) and paths[0] == self._strip_protocol(path):
            return self.cat_file(paths[0], **kwargs)
        found: dict[str, bytes | Exception] = {}
        span = (kwargs.get("start"), kwargs.get("end"))
        for first in range(0, len(paths), _READ_AT_ONCE):
            some = paths[first : first + _READ_AT_ONCE]
            outcomes = read_ranges([(functools.partial(self._open_object, one), [span]) for one in some])
            for one, outcome in zip(some, outcomes, strict=True):
                if not isinstance(outcome, Exception):
                    found[one] = outcome[0]
                elif recursive and self._is_own_folder(one, outcome):
                    continue
                elif on_error == "raise":
                    raise outcome
                elif on_error == "return":
                    found[one] = outcome
        return found

    def _is_own_folder(self, path: str, error: Exception) -> bool:
        """Return whether an error tells of a folder whose objects are listed with it; those of a link are not."""
        missing = isinstance(error, (NotAnObject, ObjectNotFound))
        return missing and self.isdir(path) and not self.folder_links([path])
