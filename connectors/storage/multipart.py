"""Writes an object that is invisible until commit: in one request if it is small, else in parts, several at once."""

from __future__ import annotations

import logging
import os
import weakref
from abc import ABC, abstractmethod
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    CredentialsExpired,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage.upload import AT_ONCE, PartsInFlight
from connectors.streams.sources import no_properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.storage.part_sizes import PartSizes

__all__ = ["MultipartSink", "MultipartStore"]

T = TypeVar("T")
_LOG = logging.getLogger(__name__)

# At interpreter exit, the latest registered function runs first. This registers weakref's own exit function now, so
# that uploads are aborted after everything that a program registers later, such as the `close` of a file it opens.
weakref.finalize(_LOG, int)


class MultipartStore(ABC):
    """A store that takes an object in parts, which stay invisible until it is told to put them together.

    Attributes:
        parts_at_once: parts that are sent at once; 1 for a store that wants them in order.
        keeps_properties: whether `put` and `start_upload` also take `properties`, a mapping of text by names in lower
            case, which the store keeps with the object.
    """

    parts_at_once = AT_ONCE
    keeps_properties = False

    @property
    def creates_exclusively(self) -> bool:
        """Whether the store is known to decide which creator of an object wins, whatever was looked up before."""
        return True

    def must_not_wait(self) -> bool:
        """Return whether the calling thread sends the store's requests, so that it cannot wait for one."""
        return False

    @abstractmethod
    def shown(self, path: str) -> str:
        """Return the location of an object for messages."""

    @abstractmethod
    def check_object(self, path: str) -> None:
        """Check that a path names an object.

        Raises:
            NotAnObject: it names a bucket or a folder.
        """

    @abstractmethod
    def find_object(self, path: str) -> object:
        """Ask whether an object exists.

        Raises:
            ObjectNotFound: it does not.
        """

    @abstractmethod
    def put(self, path: str, data: memoryview, *, exclusive: bool) -> None:
        """Write an object in one request.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
        """

    @abstractmethod
    def start_upload(self, path: str, *, exclusive: bool) -> Any:
        """Start an upload; return what tells it from others."""

    @abstractmethod
    def send_part(self, path: str, upload: Any, number: int, data: memoryview, *, last: bool) -> Any:
        """Send a part, numbered from 1; return what the store calls it. Called in several threads at once."""

    @abstractmethod
    def complete_upload(self, path: str, upload: Any, parts: list[Any], *, exclusive: bool) -> None:
        """Make the object appear.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
        """

    @abstractmethod
    def abort_upload(self, path: str, upload: Any) -> None:
        """Drop the parts that were sent; an upload that does not exist any more is not an error."""


class _Renewing:
    """The store of an object that is being written, replaced when its credentials have expired. Safe in threads."""

    def __init__(self, fs: Any) -> None:
        self.fs = fs
        self._renew: Callable[[Any], Any] | None = None
        self._lock = Lock()

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        self._renew = renew

    def run(self, work: Callable[[MultipartStore], T]) -> T:
        """Return the result of `work` with the store; it runs again if the credentials expired and were renewed."""
        fs = self.fs
        try:
            return work(fs.store)
        except CredentialsExpired as error:
            expired = error
        with self._lock:
            if self.fs is fs and self._renew is not None:
                self.fs = self._renew(fs)
            fresh = self.fs
        if fresh is fs:
            raise expired
        return work(fresh.store)


class _Upload(Generic[T]):
    """An open upload. It has no reference to its sink, so that collecting the sink aborts the upload."""

    def __init__(self, requests: _Renewing, path: str, options: dict[str, Any], *, exclusive: bool) -> None:
        self._requests = requests
        self._path = path
        self._exclusive = exclusive
        self._process = os.getpid()
        self._completed = False
        self._last = 0
        at_once = requests.fs.store.parts_at_once
        self.parts: PartsInFlight[Any] = PartsInFlight(self._send, at_once=at_once)
        self.id = requests.run(lambda store: store.start_upload(path, exclusive=exclusive, **options))

    def _send(self, number: int, part: memoryview) -> Any:
        return self._requests.run(
            lambda store: store.send_part(self._path, self.id, number, part, last=number == self._last)
        )

    def complete(self, last: memoryview) -> None:
        """Send the last part, wait for all of them, and make the object appear."""
        self._last = len(self.parts) + 1
        self.parts.put(last)
        parts = self.parts.finish()
        self._requests.run(lambda store: store.complete_upload(self._path, self.id, parts, exclusive=self._exclusive))
        self._completed = True

    def abort(self) -> None:
        """Drop the parts, as soon as none is being sent any more.

        Does nothing when called again, if the upload is completed, or in a forked child.
        """
        if self._process == os.getpid() and not self._completed:
            self.parts.abandon(self._abort, elsewhere=self._requests.fs.store.must_not_wait())

    def _abort(self) -> None:
        try:
            self._requests.run(lambda store: store.abort_upload(self._path, self.id))
        except ConnectorError as reason:
            # Not raised, because it would hide the error that led to the abort.
            _LOG.warning("cannot abort an unfinished upload, whose parts may remain stored and cost money: %s", reason)


class MultipartSink:
    """One object that is being written.

    Args:
        fs: a filesystem whose attribute `store` is a `MultipartStore`.
        path: the object's path.
        exclusive: do not replace an object, even one that appears while this one is being written.
        sizes: the sizes of its parts.

    Raises:
        ObjectExists: `exclusive`, and the object exists.
        NotAnObject: the path names a bucket or a folder.
    """

    def __init__(self, fs: Any, path: str, sizes: PartSizes, *, exclusive: bool = False) -> None:
        store: MultipartStore = fs.store
        self._path = path
        self._shown = store.shown(path)
        self._sizes = sizes
        self._exclusive = exclusive
        self._requests = _Renewing(fs)
        self._options: dict[str, Any] = {}
        self._part = bytearray()
        self._filled = 0
        self._size = 0
        self._upload: _Upload[Any] | None = None
        self._state = "open"
        self._process = os.getpid()
        store.check_object(path)
        if exclusive:
            self._check_absent()

    def _check_absent(self) -> None:
        """Fail before anything is sent; the condition on commit is what decides."""
        try:
            self._requests.run(lambda store: store.find_object(self._path))
        except CredentialsExpired:
            raise
        except ObjectNotFound:
            return
        except AccessDenied as error:  # writing does not need permission to read
            if self._requests.fs.store.creates_exclusively:
                return
            message = (
                f"mode 'xb' is not supported for {self._shown}: the credentials cannot show whether it exists, and the "
                "server is not known to refuse a write if it does; let them read, or give each writer a name of its "
                f"own ({error})"
            )
            problem: ConnectorError = NotSupported(message)
        else:
            problem = ObjectExists(f"{self._shown} already exists, and mode 'xb' does not replace it")
        raise problem

    def renew_by(self, renew: Callable[[Any], Any]) -> None:
        """Continue with renewed credentials if these expire: an upload belongs to the account, not to the session.

        Args:
            renew: takes the filesystem whose credentials have expired; returns one with renewed credentials, or the
                same one if there are none.
        """
        self._requests.renew_by(renew)

    def set_properties(self, properties: Mapping[str, str]) -> None:
        """Have the store keep properties with the object; see `TakesProperties`.

        Raises:
            NotSupported: the store keeps none.
        """
        if not self._requests.fs.store.keeps_properties:
            raise no_properties()
        self._options["properties"] = properties

    def expect(self, size: int) -> None:
        """Choose the parts for an object of `size` bytes; more or fewer may come.

        Raises:
            StorageError: the store takes no object of that size.
        """
        self._check_size(size)
        if self._upload is None and not self._sizes.fixed:
            self._sizes = self._sizes.for_object(size)

    def _check_size(self, size: int) -> None:
        if size > self._sizes.total:
            message = f"{self._shown} is too large: an object has at most {self._sizes.total} bytes"
            raise StorageError(message)

    def write(self, data: memoryview) -> None:
        """Take all of `data`, and send the parts that are complete: several at once, and in the background.

        Raises:
            StorageError: the store did not accept this part or an earlier one. The upload is aborted, and the sink
                accepts nothing more.
        """
        self._check_open()
        view = memoryview(data).cast("B")
        try:
            self._size += len(view)
            self._check_size(self._size)
            while view:
                if self._filled == self._size_of_part():  # complete, and not the last part
                    self._send_part()
                view = view[self._take(view) :]
        except BaseException:
            self.discard()
            raise

    def _take(self, view: memoryview) -> int:
        """Copy the start of `view` into the part being filled; return how many bytes."""
        size = min(len(view), self._size_of_part() - self._filled)
        if self._filled + size > len(self._part):
            if self._upload is None:
                self._part += bytes(self._filled + size - len(self._part))  # as large as a small object needs
            else:
                self._part = bytearray(self._size_of_part()) if not self._filled else self._part
        # Not `self._part[…] = …`, which copies the bytes once more.
        memoryview(self._part)[self._filled : self._filled + size] = view[:size]
        self._filled += size
        return size

    def _size_of_part(self) -> int:
        """Return the size of the part that is being filled."""
        return self._sizes.at(0 if self._upload is None else len(self._upload.parts))

    def _send_part(self) -> None:
        if self._upload is None:
            self._upload = _Upload(self._requests, self._path, self._options, exclusive=self._exclusive)
            # Also at interpreter exit: this runs before the session is closed, because the latest finalizer runs first.
            weakref.finalize(self, self._upload.abort)
        number = len(self._upload.parts) + 1
        if number == self._sizes.count:
            message = (
                f"{self._shown} is too large to be written in {self._sizes.count} parts of this size; nothing was "
                "written: give a larger part_size in the credentials, or write several objects"
            )
            raise StorageError(message)
        part, self._part = memoryview(self._part)[: self._filled], bytearray()
        self._filled = 0
        self._upload.parts.put(part, following=self._sizes.at(number))

    def commit(self) -> None:
        """Make the complete object appear, in place of the previous object.

        Raises:
            ObjectExists: `exclusive`, and the object exists.
            StorageUnavailable: no response came, so the complete object may or may not have appeared.
        """
        self._check_open()
        last = memoryview(self._part)[: self._filled]
        try:
            if self._upload is None:
                self._requests.run(
                    lambda store: store.put(self._path, last, exclusive=self._exclusive, **self._options)
                )
            else:
                self._upload.complete(last)
        except BaseException:
            self.discard()
            raise
        self._state = "committed"
        self._part = bytearray()

    def discard(self) -> None:
        """Keep the previous object and abort the upload. Does nothing when called again, or in a forked child."""
        if self._state != "open" or self._process != os.getpid():
            return
        self._state = "discarded"
        self._part = bytearray()
        if self._upload is not None:
            self._upload.abort()

    def _check_open(self) -> None:
        if self._process != os.getpid():
            message = f"{self._shown} was opened for writing by the parent process; open it again in this one"
            raise StorageUnavailable(message)
        if self._state != "open":
            message = f"{self._shown} was already {self._state}"
            raise StorageUnavailable(message) if self._state == "discarded" else ValueError(message)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._shown} {self._state}>"
