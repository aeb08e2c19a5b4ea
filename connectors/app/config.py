"""The app config folder as an application reads it: its ports and their datasets. `layout` has the folder's paths."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, BinaryIO

from connectors.app.dataset import Dataset
from connectors.app.layout import APPLICATION, CREDENTIALS, DATASET, DEFAULT_ROOT, LOCATION, ROOT_VARIABLE
from connectors.errors import (
    ConfigError,
    InvalidCredentials,
    InvalidLocation,
    UnknownDataset,
)
from connectors.names import is_name, twin_of
from connectors.secrets import Hidden
from connectors.system.os_errors import on_this_machine

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.fs.encrypted import EncryptedFileSystem
    from connectors.streams.sources import StrPath

__all__ = ["AppConfig", "Port", "load"]

LOCATION_LIMIT = 1 << 16
CREDENTIALS_LIMIT = 1 << 20
_TRIES, _PAUSE = 20, 0.01
"""How often documents that are being replaced are read again, and the seconds before each time."""
_LINKS = 40
"""As many links as Linux follows."""


def load(root: StrPath | None = None) -> AppConfig:
    """Return the app config of this application.

    Args:
        root: its folder; if not given, ``$CONNECTORS_APP_CONFIG``, or else `DEFAULT_ROOT`.

    Raises:
        ConfigError: the folder does not exist.
    """
    return AppConfig(root if root is not None else os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


class AppConfig(Mapping[str, "Port"]):
    """The ports of an application, by name.

    Loading it is cheap: a dataset's documents are read only when the dataset is used.

    Args:
        root: the app config folder.

    Raises:
        ConfigError: the folder does not exist.
    """

    def __init__(self, root: StrPath) -> None:
        self.root = os.path.abspath(os.fspath(root))
        if not os.path.isdir(self.root):
            message = (
                f"there is no app config folder {self.root}; "
                f"name it in ${ROOT_VARIABLE}, or pass it to connectors.load()"
            )
            raise ConfigError(message)

    def __getitem__(self, name: str) -> Port:
        if name not in self:
            message = f"the app config has no port {name!r}; it has {_listed(self)}{twin_of(name, self)}"
            raise UnknownDataset(message)
        return Port(self, name)

    def __contains__(self, name: object) -> bool:
        return (
            isinstance(name, str)
            and is_name(name)
            and any(_is_connected(self, name, one) for one in _names(self, name))
        )

    def __iter__(self) -> Iterator[str]:
        return (name for name in sorted(_names(self)) if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<AppConfig {self.root}: {_listed(self)}>"

    def path_inside(self, *parts: str) -> str | None:
        """Return a path below the root, or None if it is outside or does not exist."""
        root = os.path.realpath(self.root)
        try:
            path = os.path.realpath(os.path.join(root, *parts))
        except ValueError:  # a lone surrogate, which no file name has
            return None
        inside = path == root or path.startswith(root.rstrip(os.sep) + os.sep)
        return path if inside and os.path.exists(path) else None

    def read(self, limits: Mapping[str, int], *folder: str) -> list[bytes]:
        """Return the contents of files in one folder below the root, all of the same moment.

        If the folder is replaced meanwhile, they are read again.

        Args:
            limits: the most bytes of each file, by its name.
            folder: the folder's path.

        Raises:
            ConfigError: a file is missing, unreadable, outside the root or too large, or keeps changing.
        """
        for _ in range(_TRIES):
            try:
                data = self._read_once(limits, folder)
            except _Missing:
                data = None  # perhaps it was read between the two renames that replace the folder
            if data is not None:
                return data
            time.sleep(_PAUSE)
        data = self._read_once(limits, folder)
        if data is None:
            message = (
                f"the app config's {'/'.join(folder)} changes while it is read; replace the folder as a whole: "
                "write the new one beside it, and rename it"
            )
            raise ConfigError(message)
        return data

    def _read_once(self, limits: Mapping[str, int], folder: tuple[str, ...]) -> list[bytes] | None:
        """Return the contents, or None if a file was changed or replaced meanwhile."""
        shown = [f"{'/'.join(folder)}/{name}" for name in limits]
        paths = _resolve_together([os.path.join(self.root, *folder, name) for name in limits])
        with ExitStack() as opened:
            files: list[BinaryIO] = []
            before: list[object] = []
            for path, name in zip(paths, shown, strict=True):
                files.append(opened.enter_context(self._open(path, name)))
                before.append(_version(os.fstat(files[-1].fileno())))
            data = [
                _read_file(file, limit, name) for file, limit, name in zip(files, limits.values(), shown, strict=True)
            ]
            # The files are still open, so no new one can have the same number.
            after = [_version_at(path) for path in paths]
        return data if after == before else None

    def _open(self, path: str, shown: str) -> BinaryIO:
        if self.path_inside(path) is None:
            if os.path.exists(path):
                message = f"the app config's {shown} leads out of the app config folder; put the file itself there"
                raise ConfigError(message)
            message = f"the app config has no readable {shown}"
            raise _Missing(message)
        try:
            # A pipe without a writer must not block.
            return open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0)))
        except OSError as error:
            kind = _Missing if isinstance(error, FileNotFoundError) else ConfigError
            message = f"the app config's {shown} cannot be read: {error.strerror}"
        raise kind(message)


class _Missing(ConfigError):
    """A file is not there at the moment."""


def _resolve_together(paths: list[str]) -> list[str]:
    """Return paths without links. A folder that several of them have in common is looked up once.

    A Kubernetes volume is updated by changing one link, ``..data``, to which all others lead.
    """
    for _ in range(_LINKS):
        folders = {folder: os.path.realpath(folder) for folder in map(os.path.dirname, paths)}
        resolved = [os.path.join(folders[os.path.dirname(path)], os.path.basename(path)) for path in paths]
        paths = [os.path.join(os.path.dirname(path), _link(path)) for path in resolved]
        if paths == resolved:
            break
    return resolved


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except (OSError, ValueError):  # it is not a link
        return os.path.basename(path)


def _version(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _version_at(path: str) -> tuple[int, ...] | None:
    try:
        return _version(os.stat(path))
    except OSError:
        return None


def _read_file(file: BinaryIO, limit: int, shown: str) -> bytes:
    try:
        data = file.read(limit + 1) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except OSError as error:
        message = f"the app config's {shown} cannot be read: {error.strerror}"
        raise ConfigError(message) from None
    if data is None:
        message = f"the app config's {shown} is not a regular file"
        raise ConfigError(message)
    if len(data) > limit:
        del data  # a traceback that prints locals would print it
        message = f"the app config's {shown} is larger than {limit} bytes"
        raise ConfigError(message)
    return data


def _names(app: AppConfig, *parts: str) -> Iterator[str]:
    """Yield the valid names in a folder below the root, in no order; none if there is no such folder.

    Raises:
        ConfigError: the folder cannot be listed.
    """
    path = app.path_inside(*parts)
    if path is None or not os.path.isdir(path):
        return
    with on_this_machine(path, lambda: os.scandir(path), "cannot be read") as entries:
        for entry in entries:
            if is_name(entry.name):
                yield entry.name


def _is_connected(app: AppConfig, port: str, name: str, *kinds: str) -> bool:
    """Return whether an object of a port has a connection of one of `kinds`, or of any. It lists no folder."""
    return any(app.path_inside(port, name, kind, LOCATION) for kind in kinds or (DATASET, APPLICATION))


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


class Port(Mapping[str, Dataset]):
    """The datasets connected to one port, by object name."""

    def __init__(self, app: AppConfig, name: str) -> None:
        self._app = app
        self.name = name

    def __getitem__(self, name: str) -> Dataset:
        if name not in self:
            message = f"the port {self.name!r} has no dataset {name!r}; it has {_listed(self)}{twin_of(name, self)}"
            raise UnknownDataset(message)
        return _ConnectedDataset(self._app.root, self.name, name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and is_name(name) and _is_connected(self._app, self.name, name, DATASET)

    def __iter__(self) -> Iterator[str]:
        return self._connected(DATASET)

    def _connected(self, kind: str) -> Iterator[str]:
        return (
            name for name in sorted(_names(self._app, self.name)) if _is_connected(self._app, self.name, name, kind)
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<Port {self.name}: {_listed(self)}>"

    @property
    def applications(self) -> dict[str, str]:
        """The domains of the applications connected to this port, by object name."""
        limits = {LOCATION: LOCATION_LIMIT}
        return {
            name: _location(*self._app.read(limits, self.name, name, APPLICATION))
            for name in self._connected(APPLICATION)
        }


def _location(data: bytes) -> str:
    try:
        location = data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        location = ""
    if not location or not location.isprintable():
        message = f"{LOCATION} must hold one line of text, the URL"
        raise InvalidLocation(message)
    return location


class _ConnectedDataset(Dataset):
    """A dataset of an app config: read from there when it is used, and pickled by its name."""

    def __init__(self, root: str, port: str, name: str) -> None:
        self._reference = (root, port, name)
        self._setup(self._read_documents, f"{port}/{name}")

    @property
    def _root(self) -> str:
        return self._reference[0]

    def _read_documents(self) -> tuple[str, Hidden]:
        root, port, name = self._reference
        limits = {LOCATION: LOCATION_LIMIT, CREDENTIALS: CREDENTIALS_LIMIT}
        address, document = map(Hidden, AppConfig(root).read(limits, port, name, DATASET))
        location = _location(address.reveal())
        if not document.reveal().strip():
            message = f"{CREDENTIALS} is empty"
            raise InvalidCredentials(message)
        return location, document

    def _filesystem_reference(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _open_filesystem, self._reference

    def __reduce__(self) -> Any:
        return _ConnectedDataset, self._reference


def _open_filesystem(root: str, port: str, name: str) -> EncryptedFileSystem:
    """Recreate a dataset's filesystem when it is unpickled."""
    return _ConnectedDataset(root, port, name).filesystem()[0]
