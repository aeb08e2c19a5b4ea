"""A storage that lies: a backend's real filesystem, whose sizes, listings and objects are changed on the way.

Every backend is wrapped alike, over its real server, so that a consumer meets the same lie on each of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fsspec import AbstractFileSystem

from connectors.cli.common.exit_codes import CHECK_FAILED, TAMPERED
from connectors.errors import AccessDenied, CredentialsExpired, NotAnObject, ObjectNotFound
from connectors.storage import FindsAll
from connectors.storage.adapters import open_sink, open_source

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LIES", "NO_LIE", "Lie", "lying"]

Entry = dict[str, Any]


def _honest(_: str, found: Any) -> Any:
    return found


@dataclass(frozen=True)
class Lie:
    """What a storage changes, for the paths that contain its victim's name.

    Attributes:
        name: a few words.
        info: changes the info about an object.
        listing: changes the entries of a listing.
        source: changes the source of an object.
        omits: the lie leaves out what only a manifest can tell.
        code: the exit code of a command that fails because of it, if it is the same for every kind of dataset.
    """

    name: str
    info: Callable[[str, Entry], Entry] = _honest
    listing: Callable[[str, list[Entry]], list[Entry]] = _honest
    source: Callable[[str, Any], Any] = _honest
    omits: bool = False
    code: int | None = None


class _Sized:
    """A source that reports another size, and has no bytes beyond it."""

    def __init__(self, source: Any, size: Callable[[int], int]) -> None:
        self._source = source
        self._size = size

    @property
    def size(self) -> int:
        return self._size(self._source.size)

    def read_range(self, start: int, stop: int) -> Any:
        return self._source.read_range(start, min(stop, self.size))

    def close(self) -> None:
        self._source.close()


class _Gone:
    """A source whose object is gone from its read number `reads` on, or from offset `offset` on."""

    def __init__(self, source: Any, error: Callable[[], Exception], *, reads: int = 0, share: float = 0.0) -> None:
        self._source = source
        self._error = error
        self._reads = reads
        self._share = share

    @property
    def size(self) -> int:
        if not self._reads and not self._share:
            raise self._error()
        return self._source.size

    def read_range(self, start: int, stop: int) -> Any:
        self._reads -= 1
        if self._reads < 0 and (not self._share or stop > self._share * self._source.size):
            raise self._error()
        return self._source.read_range(start, stop)

    def close(self) -> None:
        self._source.close()


def _missing() -> Exception:
    return ObjectNotFound("nothing is stored there (404)")


def _refused(error: Exception) -> Callable[[str, list[Entry]], list[Entry]]:
    def refuse(_: str, __: list[Entry]) -> list[Entry]:
        raise error

    return refuse


def _resized(size: Callable[[int], int]) -> Callable[[str, Entry], Entry]:
    return lambda _, info: {**info, "size": size(info["size"])} if info["type"] == "file" else info


def _as_folder(_: str, info: Entry) -> Entry:
    return {"name": info["name"], "type": "directory", "size": 0}


def _not_an_object(_: str, source: Any) -> Any:
    source.close()
    message = "a folder; name a single object"
    raise NotAnObject(message)


def _half(size: int) -> int:
    return size // 2


def _longer(size: int) -> int:
    return size + 1000


def _added(_: str, entries: list[Entry]) -> list[Entry]:
    files = [(*one["name"].rpartition("/"), one) for one in entries if one["type"] == "file"]
    return [*entries, *({**one, "name": f"{folder}/{name.replace('2', '7')}"} for folder, _, name, one in files)]


NO_LIE = Lie("no lie")
LIES = [
    Lie("HEAD reports a smaller size", info=_resized(_half)),
    Lie("HEAD reports a larger size", info=_resized(_longer)),
    Lie("Content-Range reports a smaller size", source=lambda _, source: _Sized(source, _half), code=TAMPERED),
    Lie("Content-Range reports a larger size", source=lambda _, source: _Sized(source, _longer), code=TAMPERED),
    Lie("a listing is refused with 403", listing=_refused(PermissionError(13, "slow down")), code=CHECK_FAILED),
    Lie("a listing is refused with 501", listing=_refused(OSError("501 Not Implemented")), code=CHECK_FAILED),
    Lie("a listing is cut", listing=_refused(ConnectionResetError(104, "Connection reset by peer")), code=CHECK_FAILED),
    Lie(
        "the credentials expire at a listing",
        listing=_refused(CredentialsExpired("the credentials have expired")),
        code=CHECK_FAILED,
    ),
    Lie("a listing is empty", listing=lambda *_: [], omits=True),
    Lie(
        "a listing omits a member",
        listing=lambda _, found: [one for one in found if "2" not in one["name"].rpartition("/")[2]],
        omits=True,
    ),
    Lie("a listing has every member twice", listing=lambda _, found: [*found, *found]),
    Lie("a listing has members that do not exist", listing=_added),
    Lie("404 to the first request", source=lambda _, source: _Gone(source, _missing), omits=True),
    Lie("404 to the second request", source=lambda _, source: _Gone(source, _missing, reads=1)),
    Lie("404 to the end of an object", source=lambda _, source: _Gone(source, _missing, share=0.9)),
    Lie(
        "403 to the second request",
        source=lambda _, source: _Gone(source, lambda: AccessDenied("refused (403)"), reads=1),
        code=CHECK_FAILED,
    ),
    Lie("a folder in an object's place", info=_as_folder, source=_not_an_object, omits=True),
]


class _Lying(AbstractFileSystem):
    """A filesystem that is honest but for the lie that is told at the moment."""

    cachable = False

    def __init__(self, honest: Any, told: Callable[[str], Lie]) -> None:
        super().__init__()
        self.honest = honest
        self.told = told
        self.protocol = honest.protocol
        self.root_marker = honest.root_marker

    def __getattribute__(self, name: str) -> Any:
        if name in _DELEGATED:
            return getattr(object.__getattribute__(self, "honest"), name)
        return super().__getattribute__(name)

    def info(self, path: str, **kwargs: Any) -> Entry:
        return self.told(path).info(path, self.honest.info(path, **kwargs))

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        found = self.told(path).listing(path, self.honest.ls(path, detail=True, **kwargs))
        return found if detail else [one["name"] for one in found]

    def exists(self, path: str, **kwargs: Any) -> bool:
        return self.honest.exists(path, **kwargs)

    def open_source(self, path: str) -> Any:
        return self.told(path).source(path, open_source(self.honest, path))

    def open_sink(self, path: str, *, exclusive: bool = False) -> Any:
        return open_sink(self.honest, path, exclusive=exclusive)


class _LyingTree(_Lying):
    """The same, for a filesystem that lists whole trees."""

    def find_all(self, path: str, *, folders: bool) -> dict[str, Entry]:
        entries = list(self.honest.find_all(path, folders=folders).values())
        by_folder: dict[str, list[Entry]] = {}
        for one in entries:
            by_folder.setdefault(one["name"].rpartition("/")[0], []).append(one)
        found = [one for folder, below in by_folder.items() for one in self.told(folder).listing(folder, below)]
        return {one["name"]: one for one in found}


_DELEGATED = {
    "_parent", "_strip_protocol", "cp_file", "created", "makedirs", "mkdir", "modified", "mv", "rm", "rm_file", "rmdir",
}  # fmt: skip


def lying(honest: Any, told: Callable[[str], Lie]) -> Any:
    """Return a filesystem that tells `told(path)` about each path, and otherwise the truth."""
    return (_LyingTree if isinstance(honest, FindsAll) else _Lying)(honest, told)
