"""Replaces sealed objects by the same plain bytes under another key, format or context, one object at a time.

Each object is replaced atomically, after what replaces it has been decrypted again and compared; see `Checked`. After
that it is opened from the storage once more. What is under the new key already is left as it is, so a run that was
stopped, at whatever moment, is continued by another one.

In a folder with a manifest, the objects are replaced in batches. First the manifest gets the pins of the versions that
will replace those of a batch: the pin is known before an object is encrypted, as its size and its header are. Then they
are replaced one by one. So readers who know both keys find manifest and objects in agreement at every moment.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

from connectors._fsspec import LocalFileSystem
from connectors.errors import (
    AccessDenied,
    IntegrityError,
    InvalidCredentials,
    NotAnObject,
    NotSupported,
    ObjectChanged,
    ObjectNotFound,
    PinMismatch,
    StorageError,
    naming,
)
from connectors.formats import Checked, Either
from connectors.fs.manifest import MANIFEST_NAME, FolderManifest, Member
from connectors.fs.rekeyed import OTHER_VERSION, Counter, Pinned, Rekeyed, Stopping, nothing_in
from connectors.names import printable
from connectors.storage.adapters import claimed_size
from connectors.storage.trees import folder_links, list_tree
from connectors.streams import SealedObject, SealedReader, SealedWriter, copy_stream
from connectors.streams.executor import submit
from connectors.streams.object import missing_pinned
from connectors.system.atomic_files import is_staged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from connectors._fsspec import Callback
    from connectors.formats import Format
    from connectors.fs.opening import OpeningView

    Accepts = Callable[[bool, str], bool]
    """Returns whether an object may have a pin, which is under the new key, or under the old one."""

__all__ = ["Pinned", "Rekeyed", "Rekeying"]

T = TypeVar("T")
R = TypeVar("R")

_LEAST_BATCH, _MOST_BATCH, _BATCHES = 64, 4096, 32
"""Objects between two writes of a manifest, and the writes of one: a manifest grows with the objects it lists."""


class Rekeying:
    """One run.

    Args:
        reading: the filesystem that the objects are read from.
        writing: the filesystem that they are written to: the same storage, perhaps with other credentials.
        new: the format with its key that objects get.
        old: the format with its key that they have.
        dataset: the dataset's name in errors.
        callback: an `fsspec.Callback` that counts plain bytes.
        dry_run: only look.
    """

    def __init__(
        self,
        *,
        reading: OpeningView,
        writing: OpeningView,
        new: Format,
        old: Format,
        dataset: str | None,
        callback: Callback,
        dry_run: bool,
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._new = new
        self._old = old
        self._dataset = dataset
        self._counter = Counter(callback)
        self._dry_run = dry_run
        self._stopped = False

    def run_object(self, path: str, pinned: Pinned) -> Rekeyed:
        """Rekey a single object.

        Args:
            path: its path.
            pinned: the versions to accept.
        """
        self._counter.total(None)
        self._check_links([path])
        try:
            pin = self._rekey(path, Either(self._new, self._old), pinned.accepts)
        except (ObjectNotFound, NotAnObject) as error:
            missing = error
        else:
            return self._counter.result(None if self._dry_run else pin)
        raise missing if pinned.pin is None else missing_pinned()

    def run_folder(self, root: str, *, binds: bool) -> Rekeyed:
        """Rekey the objects of a folder without a manifest; also those that are added meanwhile.

        Args:
            root: the folder's path, without a slash at the end.
            binds: whether the objects' names are bound into their contexts.
        """
        done: set[str] = set()
        if MANIFEST_NAME in (found := self._names(root, first=False)):
            message = f'the folder has a {MANIFEST_NAME}; set "manifest": true in both documents'
            raise InvalidCredentials(message)
        if not found:
            raise nothing_in(root)
        while names := [name for name in self._names(root, first=not done) if name not in done]:
            self._each(lambda name: self._rekey(f"{root}/{name}", self._either(name, binds=binds)), names)
            done.update(names)
            if self._dry_run:
                break
        return self._counter.result(None)

    def run_manifest_folder(self, root: str, pinned: Pinned) -> Rekeyed:
        """Rekey the objects of a folder with a manifest, and the manifest.

        Args:
            root: the folder's path, without a slash at the end.
            pinned: the versions of the manifest to accept.
        """
        codec = self._either(MANIFEST_NAME)
        place = f"{root}/{MANIFEST_NAME}"
        names = [name for name in self._names(root, first=True) if name != MANIFEST_NAME]
        manifest = FolderManifest(
            codec,
            lambda: self._reading.open_sealed(place),
            lambda: self._writing.open_place(place, exclusive=False),
            lambda: not names,
            self._dataset,
        )
        members = self._members(manifest, codec, pinned)
        if members is None:
            raise nothing_in(root)
        manifest.check_listed("", names, None, None)
        for batch in _batches(sorted(members)):
            self._rekey_batch(root, batch, members, manifest)
        if not self._dry_run:
            if not codec.is_new or members != manifest.members:
                self._write(manifest, members)
            return self._counter.result(manifest.pin)
        return self._counter.result(None)

    @staticmethod
    def _members(manifest: FolderManifest, codec: Either, pinned: Pinned) -> dict[str, Member] | None:
        """Return what the manifest lists; None for a new folder, without objects."""
        try:
            members = dict(manifest.members)
        except ObjectNotFound:
            members = None
        if members is None:
            if pinned.pin is not None:
                message = f"the folder is pinned but has no {MANIFEST_NAME}: it was removed; do not trust the storage"
                raise IntegrityError(message)
        elif not pinned.accepts(codec.is_new, manifest.pin):
            message = "the folder's manifest is not the one that is pinned: it was rolled back or rewritten"
            raise PinMismatch(message)
        return members

    def _rekey_batch(
        self, root: str, batch: Sequence[str], members: dict[str, Member], manifest: FolderManifest
    ) -> None:
        """Rekey some of the objects in a manifest, and put their new pins into `members`."""
        looked = self._each(lambda name: self._look(root, name, members[name], manifest), batch)
        waiting = [name for name, (is_new, _) in zip(batch, looked, strict=True) if not is_new]
        for name, (is_new, member) in zip(batch, looked, strict=True):
            members[name] = member
            if is_new or self._dry_run:
                self._counter.passed(member.size, is_new=is_new)
        if self._dry_run or not waiting:
            return
        sealings = {name: Checked(self._new.bound(name), members[name].size) for name in waiting}
        announced = {
            name: members[name].model_copy(update={"next": sealing.pin_ahead}) for name, sealing in sealings.items()
        }
        self._write(manifest, members | announced)

        def rewrite(name: str) -> str:
            return self._rekey(f"{root}/{name}", self._either(name), _listed_by(announced[name]), sealings[name])

        for name, pin in zip(waiting, self._each(rewrite, waiting), strict=True):
            members[name] = Member(size=members[name].size, pin=pin)

    def _look(self, root: str, name: str, listed: Member, manifest: FolderManifest) -> tuple[bool, Member]:
        """Return whether an object is under the new key, and its present entry for the manifest."""
        codec = self._either(name)
        try:
            opened = self._opened(f"{root}/{name}", codec, _listed_by(listed), SealedObject)
        except (ObjectNotFound, NotAnObject):
            opened = None
        if opened is None:
            raise manifest.missing(name)
        with closing(opened):
            if opened.size != listed.size:
                message = "the object has another size than in the folder's manifest; do not trust it"
                raise IntegrityError(message)
            return codec.is_new, Member(size=opened.size, pin=opened.pin)

    def _write(self, manifest: FolderManifest, members: dict[str, Member]) -> None:
        """Write the manifest, and read it again from the storage."""
        manifest.replace(dict(members))
        written = manifest.pin
        manifest.forget()
        if manifest.members != members or manifest.pin != written:
            message = f"the storage does not return the {MANIFEST_NAME} that was written to it"
            raise IntegrityError(message)

    def _either(self, name: str, *, binds: bool = True) -> Either:
        new, old = (self._new.bound(name), self._old.bound(name)) if binds else (self._new, self._old)
        return Either(new, old)

    def _names(self, root: str, *, first: bool) -> list[str]:
        """Return the relative paths of the objects that the storage lists."""
        found = list_tree(self._reading.fs, root)
        self._check_links(list(found))
        listed = {name: entry for name, entry in found.items() if not is_staged(name)}
        if first:
            sizes = [claimed_size(entry, strict=False) for entry in listed.values()]
            self._counter.total(None if None in sizes else sum(size or 0 for size in sizes))
        inside = root.strip("/")
        return sorted(name.lstrip("/").removeprefix(f"{inside}/" if inside else "") for name in listed)

    def _check_links(self, paths: list[str]) -> None:
        """Check that no path is a link: replacing it would leave what it leads to under the old key.

        Raises:
            NotSupported: one is.
        """
        fs = self._reading.fs
        links = folder_links(fs, paths)
        if isinstance(fs, LocalFileSystem):
            links += [path for path in paths if os.path.islink(path)]
        if links:
            message = f"{links[0]} is a link, and what it leads to would stay under the old key; rekey that by itself"
            raise NotSupported(message)

    def _opened(self, path: str, codec: Either, accepts: Accepts, kind: Callable[..., T]) -> T:
        """Open an object under one of the keys, and check its pin.

        Args:
            path: its path.
            codec: the two formats, which then tell the one that it is in.
            accepts: whether it may have its pin.
            kind: `SealedObject` or `SealedReader`.
        """
        opened: Any = kind(self._reading.open_sealed(path), codec, name=self._dataset)
        accepted = False
        try:
            accepted = accepts(codec.is_new, opened.pin)
        finally:
            if not accepted:
                opened.close()
        if not accepted:
            raise PinMismatch(OTHER_VERSION)
        return opened  # type: ignore[no-any-return]

    def _rekey(
        self, path: str, codec: Either, accepts: Accepts = lambda _, __: True, sealing: Checked | None = None
    ) -> str:
        """Rekey one object, unless it is under the new key; return its pin.

        Args:
            path: its path.
            codec: the formats, bound to its name if that is bound.
            accepts: whether it may have the pin that it has now.
            sealing: the new encryption; None for a fresh one.
        """
        with self._opened(path, codec, accepts, SealedReader) as reader:
            size, pin = reader.size, reader.pin
            if codec.is_new or self._dry_run:
                self._counter.passed(size, is_new=codec.is_new)
                return pin
            sink = self._writing.open_place(path, exclusive=False)
            pins: list[str] = []
            writer = SealedWriter(
                sink,
                sealing or Checked(codec.new, size),
                name=self._dataset,
                autocommit=False,
                committed=lambda _, one: pins.append(one),
            )
            try:
                with writer:
                    copy_stream(reader, writer, Stopping(self._counter.bytes(), self._check_running), ahead=True)
                self._check_unchanged(path, codec, pin)
                reader.close()
                self._check_running()
                writer.commit()
            finally:
                writer.discard()  # does nothing after the commit
        self._verify(path, codec.new, size, pins[0])
        self._counter.done(size)
        return pins[0]

    def _check_unchanged(self, path: str, codec: Either, pin: str) -> None:
        """Check that nobody has written the object while it was read: a large one takes a while."""
        with closing(SealedObject(self._reading.open_sealed(path), codec, name=self._dataset)) as opened:
            same = opened.pin == pin
        if same and self._writing is not self._reading:
            self._check_place(path, codec, pin)
        if same:
            return
        message = "the object was replaced while it was being rekeyed, and stays; stop its writer, and run this again"
        raise ObjectChanged(message)

    def _check_place(self, path: str, codec: Either, pin: str) -> None:
        """Check that the new document leads to the same object, before that is replaced."""
        try:
            with closing(SealedObject(self._writing.open_sealed(path), codec, name=self._dataset)) as opened:
                same = opened.pin == pin
        except AccessDenied:
            return  # a URL that is signed for writing alone; the documents name one endpoint
        except (IntegrityError, ObjectNotFound):
            same = False
        if not same:
            message = (
                "the new document leads to another object of that name than the current one: another endpoint, account "
                "or region; nothing was replaced there"
            )
            raise InvalidCredentials(message)

    def _check_running(self) -> None:
        """Check that the run goes on: an error of one object ends the others before they are published.

        Raises:
            StorageError: it has ended.
        """
        if self._stopped:
            message = "another object failed, so this one was not replaced"
            raise StorageError(message)

    def _verify(self, path: str, codec: Format, size: int, pin: str) -> None:
        """Open what was written, from the storage, under the new key alone."""
        try:
            with closing(SealedObject(self._reading.open_sealed(path), codec, name=self._dataset)) as opened:
                same, problem = (opened.size, opened.pin) == (size, pin), "it returns another object"
        except (IntegrityError, ObjectNotFound) as error:
            same, problem = False, "; ".join(map(str, error.args))
        if not same:
            message = (
                f"the storage does not return what was written to it: {problem}; nothing else was rewritten after this"
            )
            raise IntegrityError(message)

    def _each(self, work: Callable[[str], R], names: Sequence[str]) -> list[R]:
        """Return the results of `work` for each object; after an error, no more are started, and it is raised."""

        def named(name: str) -> R:
            with naming(self._dataset, printable(name)):
                return work(name)

        at_once = self._reading.at_once
        if at_once == 1 or len(names) <= 1:
            return [named(name) for name in names]
        with ThreadPoolExecutor(at_once, "connectors-rekey") as pool:
            started = [submit(pool, named, name) for name in names]
            first: BaseException | None = None
            finished = False
            try:
                for done in as_completed(started):
                    if (first := done.exception()) is not None:
                        break
                finished = first is None
            finally:
                self._stopped = not finished  # also by an interrupt
                for one in started:
                    one.cancel()
        if first is not None:
            raise first
        return [one.result() for one in started]


def _listed_by(member: Member) -> Accepts:
    """Return what a manifest's entry accepts: under the new key also the version that was announced."""
    return lambda is_new, pin: pin == member.pin or (is_new and pin == member.next)


def _batches(names: Sequence[str]) -> Iterator[Sequence[str]]:
    size = min(_MOST_BATCH, max(_LEAST_BATCH, -(-len(names) // _BATCHES)))
    return (names[first : first + size] for first in range(0, len(names), size))
