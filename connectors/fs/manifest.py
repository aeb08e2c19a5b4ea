"""A folder's manifest: the plain size and the pin of each object in it, stored as one of the sealed objects.

The storage can remove an object from a folder, add one, or restore an old version. If a folder has a manifest, listings
and opened objects are checked against it, so each of these is an error. A change writes the manifest last: until then,
readers get the old folder or an error. If the storage restores the whole folder with its old manifest, only a pin of
the manifest detects it.

The plain bytes are JSON::

    {"schema": "enclave-connectors folder manifest 1",
     "objects": {"north.csv": {"size": 2817, "pin": "<64 hexadecimal digits>"}, …}}

While the folder is being rekeyed, objects that are about to be replaced also have the pin of their next version,
``"next": "<64 hexadecimal digits>"``, so that manifest and objects agree at every moment.
"""

from __future__ import annotations

import bisect
import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, ValidationError

from connectors._fsspec import DEFAULT_CALLBACK
from connectors.errors import ConnectorError, IntegrityError, NotAnObject, ObjectNotFound
from connectors.models import Model
from connectors.names import twin_of
from connectors.storage.trees import is_safe
from connectors.streams import SealedWriter, buffered
from connectors.streams.executor import submit
from connectors.system.locks import ForkSafeLock

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from connectors._fsspec import Callback
    from connectors.formats import Format
    from connectors.streams import SealedObject, Sink, Source

__all__ = ["MANIFEST_NAME", "FolderManifest", "Member", "parse_manifest", "survey"]

MANIFEST_NAME = "_manifest.sealed"
"""The manifest's name in its folder. Tools that read whole folders skip names with a leading underscore."""
_AT_ONCE = 8
"""Objects that `survey` opens concurrently."""

_STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Member(Model):
    """A manifest's entry for one object.

    Attributes:
        size: its plain bytes.
        pin: the fingerprint of this version of it: 64 hexadecimal digits.
        next: the fingerprint of the version that is about to replace it, with the same plain bytes, while the folder
            is being rekeyed; readers accept both.
    """

    model_config = _STRICT

    size: int = Field(ge=0)
    pin: str = Field(pattern="^[0-9a-f]{64}$")
    next: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")


class _Document(Model):
    model_config = _STRICT

    schema_: Literal["enclave-connectors folder manifest 1"] = Field(
        default="enclave-connectors folder manifest 1", alias="schema"
    )
    objects: dict[str, Member]


def parse_manifest(data: bytes) -> dict[str, Member]:
    r"""Return the objects that a manifest lists.

    Raises:
        IntegrityError: these are not the plain bytes of a manifest.

    >>> parse_manifest(b'{"schema": "enclave-connectors folder manifest 1", "objects": {}}')
    {}
    """
    try:
        objects = _Document.model_validate_json(data).objects
    except ValidationError:
        objects = None
    if objects is None or not all(is_safe(name) and all(name.split("/")) for name in objects):
        message = f"{MANIFEST_NAME} is not a valid manifest; ask its owner to rewrite it"
        raise IntegrityError(message)
    return objects


def _as_bytes(members: Mapping[str, Member]) -> bytes:
    document = {"schema": "enclave-connectors folder manifest 1"}
    listed = {name: one.model_dump(exclude_none=True) for name, one in sorted(members.items())}
    return json.dumps({**document, "objects": listed}, ensure_ascii=False, separators=(",", ":")).encode()


class FolderManifest:
    """The manifest of one folder. It is read when first needed, and cached until `forget`.

    Args:
        codec: the format that reads and writes it, perhaps with a pin.
        open_source: opens the stored manifest.
        open_sink: opens a sink for a new one.
        is_empty: returns whether the storage lists no object in the folder.
        dataset: the dataset's name in errors.
    """

    def __init__(
        self,
        codec: Format,
        open_source: Callable[[], Source],
        open_sink: Callable[[], Sink],
        is_empty: Callable[[], bool],
        dataset: str | None,
    ) -> None:
        self._codec = codec
        self._open_source = open_source
        self._open_sink = open_sink
        self._is_empty = is_empty
        self._dataset = dataset
        self._lock = ForkSafeLock()
        self._pin: str | None = None
        self._holding = 0
        self._changed = False
        self.forget()

    def forget(self) -> None:
        """Drop the cached manifest, unless it has unwritten changes."""
        with self._lock.current:
            if not self._changed:
                self._members: dict[str, Member] | None = None
                self._names: list[str] = []
                self._is_new = False

    @property
    def members(self) -> Mapping[str, Member]:
        """The objects, by their paths relative to the folder.

        Raises:
            ObjectNotFound: there is no manifest, and the folder is empty.
            IntegrityError: the manifest is invalid, or is missing although the folder has objects.
        """
        return self._read(to_write=False)

    @property
    def pin(self) -> str:
        """The fingerprint of this version of the folder: 64 hexadecimal digits."""
        with self._lock.current:
            _ = self.members
            assert self._pin is not None  # noqa: S101 - set whenever members are read or written
            return self._pin

    def _read(self, *, to_write: bool) -> Mapping[str, Member]:
        with self._lock.current:
            if self._members is None and not (to_write and self._is_new):
                self._load()
            if self._members is None and not to_write:
                message = f"the folder is empty and has no {MANIFEST_NAME}"
                raise ObjectNotFound(message)
            return self._members or {}

    def _load(self) -> None:
        """Read it; it may be missing only if the folder is empty."""
        try:
            # Many sources send the first request on the first read, which may also raise ObjectNotFound.
            with buffered(self._open_source(), self._codec, name=self._dataset) as file:
                members, pin = parse_manifest(file.read()), file.raw.pin
        except (ObjectNotFound, NotAnObject):
            # The pin says that there is a manifest, whatever the storage lists.
            self._is_new = self._codec.pin is None and self._is_empty()
        else:
            self._take(members)
            self._pin = pin
            return
        if self._codec.pin is not None:
            message = f"the folder is pinned but has no {MANIFEST_NAME}: it was removed; do not trust the storage"
            raise IntegrityError(message)
        if not self._is_new:
            message = (
                f"the folder has objects but no {MANIFEST_NAME}: it was removed, or never written; "
                "if you trust the objects, write one with `connectors manifest`"
            )
            raise IntegrityError(message)

    def _take(self, members: dict[str, Member]) -> None:
        self._members = members
        self._names = sorted(members)

    def prepare(self) -> None:
        """Read it before an object is written; the folder may be empty."""
        self._read(to_write=True)

    def member(self, name: str) -> Member:
        """Return the entry of an object.

        Raises:
            ObjectNotFound: there is none.
        """
        found = self.members.get(name)
        if found is None:
            message = (
                f"{name!r} is not in the folder's manifest; if the storage has it, it was added without updating the "
                f"manifest{twin_of(name, self.members)}"
            )
            raise ObjectNotFound(message)
        return found

    def missing(self, name: str) -> IntegrityError:
        """Return the error for an object or folder that is missing from the storage."""
        message = f"{name!r} is in the folder's manifest but not in the storage: it was removed; do not trust the rest"
        return IntegrityError(message)

    def within(self, folder: str) -> list[str]:
        """Return the paths of the objects in a folder and below it; of all objects for the empty path."""
        with self._lock.current:
            self._read(to_write=True)
            if not folder:
                return self._names
            start, stop = (bisect.bisect_left(self._names, folder + end) for end in ("/", "0"))  # 0 is what follows /
            return self._names[start:stop]

    def paths(self, depth: int) -> set[str]:
        """Return the paths of that many parts: of objects, and of the folders that they are in."""
        parts = (name.split("/")[:depth] for name in self._read(to_write=True))
        return {"/".join(one) for one in parts if len(one) == depth}

    def at(self, path: str) -> list[str]:
        """Return the paths of what should be at `path`: the object itself, or those in the folder and below it."""
        return [path] if path in self._read(to_write=True) else self.within(path)

    def check_listed(
        self, folder: str, objects: Collection[str], folders: Collection[str] | None, depth: int | None
    ) -> None:
        """Check a listing of the storage against the manifest.

        Args:
            folder: the path that was listed, of a folder or an object.
            objects: the paths of the listed objects.
            folders: the paths of the listed folders; None if folders were not requested.
            depth: the number of levels listed; None for all.

        Raises:
            IntegrityError: an object is missing, or was added.
        """
        levels = len(folder.split("/")) if folder else 0
        expected, passed = set(), set()
        for name in self.at(folder) if self.members else ():
            parts = name.split("/")
            if depth is None or len(parts) - levels <= depth:
                expected.add(name)
            else:
                passed.add("/".join(parts[: levels + depth]))
        for name in sorted(expected.difference(objects) | (set() if folders is None else passed.difference(folders))):
            raise self.missing(name)
        for name in sorted(set(objects) - expected):
            message = (
                f"the storage lists {name!r}, which is not in the folder's manifest: it was added, or its writer has "
                "not updated the manifest yet; do not trust it"
            )
            raise IntegrityError(message)

    def written(self, name: str, size: int, pin: str) -> None:
        """Add an object that was written."""
        with self._lock.current:
            self._change({**self._read(to_write=True), name: Member(size=size, pin=pin)})

    def removed(self, names: Iterable[str]) -> None:
        """Remove the entries of objects that are gone."""
        with self._lock.current:
            gone = set(names)
            if gone & self.members.keys():
                self._change({name: one for name, one in self.members.items() if name not in gone})

    def replace(self, members: dict[str, Member]) -> None:
        """Replace all entries."""
        with self._lock.current:
            self._change(members)

    def _change(self, members: dict[str, Member]) -> None:
        self._take(members)
        self._changed = True
        if not self._holding:
            self._write()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Write it once at the end of the block, for all changes in the block."""
        with self._lock.current:
            self._holding += 1
        try:
            yield
        finally:
            with self._lock.current:
                self._holding -= 1
                if self._changed and not self._holding:
                    self._write()

    def _write(self) -> None:
        try:
            with SealedWriter(self._open_sink(), self._codec, name=self._dataset, committed=self._note_pin) as file:
                file.write(_as_bytes(self._members or {}))
        except ConnectorError as error:
            error.add_note(
                "The folder's objects have changed but its manifest has not, so reading the folder fails. "
                "Rewrite the manifest: connectors manifest dataset://PORT/NAME."
            )
            raise
        self._changed = False

    def _note_pin(self, _: int, pin: str) -> None:
        self._pin = pin


def survey(
    names: Collection[str], open_object: Callable[[str], SealedObject], callback: Callback = DEFAULT_CALLBACK
) -> dict[str, Member]:
    """Open each object, verify its end, and return its manifest entry.

    Args:
        names: their paths, relative to their folder.
        open_object: opens one of them.
        callback: an `fsspec.Callback` that counts the objects.
    """

    def look(name: str) -> tuple[str, Member]:
        opened = open_object(name)
        try:
            return name, Member(size=opened.size, pin=opened.pin)
        finally:
            opened.close()
            callback.relative_update(1)

    callback.set_size(len(names))
    with ThreadPoolExecutor(min(_AT_ONCE, len(names) or 1), f"connectors-manifest-{os.getpid()}") as threads:
        members = [submit(threads, look, name) for name in names]
        try:
            return dict(member.result() for member in members)
        finally:
            for member in members:
                member.cancel()
