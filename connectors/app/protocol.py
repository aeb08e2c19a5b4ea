"""``dataset://port/object``: the datasets of an app config as fsspec URLs."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from connectors.app.config import AppConfig, load
from connectors.app.staging import StagedVersions, StagingTransaction, staged_target
from connectors.errors import AccessDenied, ConnectorError, CredentialsExpired, NotAnObject, ObjectNotFound
from connectors.fs.many import OVER_A_NETWORK
from connectors.fs.plain import PlainView
from connectors.names import twin_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.app.dataset import Dataset
    from connectors.fs.encrypted import EncryptedFileSystem
    from connectors.streams import SealedObject
    from connectors.streams.sources import StrPath

__all__ = ["DatasetFileSystem"]


class DatasetFileSystem(PlainView):
    """The datasets of an app config: ``port/object``, and below a folder dataset its objects.

    Args:
        app_config: the app config's folder, as for `load`.

    Only this argument is pickled: a worker on another machine reads its own app config.
    """

    protocol = "dataset"
    root_marker = ""
    transaction_type = StagingTransaction
    at_once = OVER_A_NETWORK

    def __init__(self, app_config: StrPath | None = None, **storage_options: Any) -> None:
        super().__init__(**storage_options)
        self._root = app_config
        self._datasets: dict[str, Dataset] = {}
        self.staged = StagedVersions()

    @property
    def app(self) -> AppConfig:
        """The app config."""
        return load(self._root)

    def _dataset(self, name: str) -> Dataset:
        """Return the dataset called ``port/object``; the same instance each time, with its connections."""
        if name not in self._datasets:
            port, _, object_name = name.partition("/")
            app = self.app
            if port not in app or object_name not in app[port]:
                known = [f"{port}/{name}" for port in app for name in app[port]]
                listed = ", ".join(f"dataset://{one}" for one in known) or "none"
                message = f"there is no dataset://{name}; there are {listed}{twin_of(name, known)}"
                raise ObjectNotFound(message)
            self._datasets[name] = app[port][object_name]
        return self._datasets[name]

    def _locate(self, path: str) -> tuple[EncryptedFileSystem, str]:
        """Return the filesystem of a path's object, and the path in it."""
        path = self._strip_protocol(path)
        port, _, rest = path.partition("/")
        object_name, _, inside = rest.partition("/")
        if not object_name:
            message = f"dataset://{path} is a folder; name an object, as in dataset://port/object"
            raise NotAnObject(message)
        dataset = self._dataset(f"{port}/{object_name}")
        fs, inner = dataset.filesystem()
        if not inside:
            return fs, inner
        if not dataset.is_folder:
            message = f"there is no dataset://{path}: dataset://{port}/{object_name} is a single object"
            raise ObjectNotFound(message)
        if {".", ".."} & set(inside.split("/")):
            message = f"dataset://{path} is not a valid path: it contains . or .."
            raise ObjectNotFound(message)
        return fs, f"{inner}/{inside}"

    def _open(self, path: str, mode: str = "rb", **kwargs: Any) -> Any:
        path = self._strip_protocol(path)
        target = staged_target(path) if mode == "wb" else ""
        staged = self._is_staged(path, target)
        if staged:
            self._unstage(path)
            kwargs["autocommit"] = False
        fs, inner = self._locate(target if staged else path)
        file = fs._open(inner, mode, **kwargs)  # noqa: SLF001 - the inner filesystem has the same contract
        if staged:
            self.staged.add(path, file)
        return file

    def _is_staged(self, path: str, target: str) -> bool:
        """Return whether a path names no dataset, but the next version of the single object `target`."""
        return bool(target) and self._has(target) and not self._has(path) and not self._dataset(target).is_folder

    def _has(self, name: str) -> bool:
        port, _, object_name = name.partition("/")
        app = self.app
        return port in app and object_name in app[port]

    def _open_object(self, path: str) -> SealedObject:
        fs, inner = self._locate(path)
        return fs._open_object(inner)  # noqa: SLF001

    def one_manifest(self) -> AbstractContextManager[Any]:
        """Return a context that writes the manifests of changed folder datasets at its end."""
        held = ExitStack()
        for dataset in self._datasets.values():
            held.enter_context(dataset.filesystem()[0].one_manifest())
        return held

    def _is_port(self, path: str) -> bool:
        return "/" not in path and (path == "" or path in self.app)

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return the name, type and plain size of a dataset, or of a folder of them."""
        return self._described(path, lambda fs, inner: fs.info(inner, **kwargs))

    def _found(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """Return what `info` does; if there is nothing, do not look for names that look the same."""
        return self._described(path, lambda fs, inner: fs._found(inner, **kwargs))  # noqa: SLF001

    def _kind(self, path: str) -> str | None:
        """Return the kind of a path. A dataset that is a single object is a file, even if it may only be written."""
        try:
            return super()._kind(path)
        except CredentialsExpired:
            raise
        except AccessDenied as error:
            denied = error
        name = self._strip_protocol(path)
        if self._has(name) and not self._dataset(name).is_folder:
            return "file"
        raise denied

    def _described(self, path: str, describe: Callable[[EncryptedFileSystem, str], dict[str, Any]]) -> dict[str, Any]:
        path = self._strip_protocol(path)
        if self._is_port(path):
            return {"name": path, "type": "directory", "size": 0}
        if path in self.staged:
            return self.staged.info(path)
        fs, inner = self._locate(path)
        found = {**describe(fs, inner), "name": path}
        if found["type"] == "directory" and not self._dataset("/".join(path.split("/")[:2])).is_folder:
            message = f"dataset://{path} is a single object, but a folder is stored at its location"
            raise NotAnObject(message)
        return found

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:  # noqa: FBT001, FBT002 - fsspec's signature
        """List the ports, the datasets of a port, or a folder dataset.

        The sizes of datasets are None, because each would need credentials and a request.
        """
        path = self._strip_protocol(path)
        if path == "":
            entries = [{"name": port, "type": "directory", "size": 0} for port in self.app]
        elif self._is_port(path):
            entries = [self._entry(f"{path}/{name}") for name in self.app[path]]
        else:
            entries = self._inside(path, **kwargs)
        return entries if detail else [entry["name"] for entry in entries]

    def _entry(self, name: str) -> dict[str, Any]:
        """Return a dataset's entry without a request to its storage; a broken dataset is reported when it is used."""
        try:
            folder = self._dataset(name).is_folder
        except ConnectorError:
            folder = False
        return {"name": name, "type": "directory" if folder else "file", "size": 0 if folder else None}

    def _inside(self, path: str, **kwargs: Any) -> list[dict[str, Any]]:
        port, separator, rest = path.partition("/")
        dataset = self._dataset(f"{port}{separator}{rest.partition('/')[0]}")
        fs, inner = self._locate(path)
        if not dataset.is_folder:
            return [{"name": path, "type": "file", "size": None}]
        found: list[dict[str, Any]] = fs.ls(inner, detail=True, **kwargs)
        return [{**entry, "name": path + entry["name"].removeprefix(inner)} for entry in found]

    def find(
        self,
        path: str,
        maxdepth: int | None = None,
        withdirs: bool = False,  # noqa: FBT001, FBT002 - fsspec's signature
        detail: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> Any:
        """List everything below a path; a folder dataset in as few requests as its storage needs."""
        path = self._strip_protocol(path)
        if path.count("/") < 1 or not self._dataset("/".join(path.split("/")[:2])).is_folder:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **kwargs)
        fs, inner = self._locate(path)
        found = fs.find(inner, maxdepth=maxdepth, withdirs=withdirs, detail=True, **kwargs)
        named = {path + name.removeprefix(inner): entry for name, entry in found.items()}
        return {name: {**entry, "name": name} for name, entry in named.items()} if detail else list(named)

    def folder_links(self, paths: list[str]) -> list[str]:
        """Return those of the paths that are links to folders in a folder dataset."""
        inside: dict[EncryptedFileSystem, dict[str, str]] = {}
        for path in paths:
            if path.count("/") > 1:  # else a port, or the dataset itself
                fs, inner = self._locate(path)
                inside.setdefault(fs, {})[inner] = path
        return [named[link] for fs, named in inside.items() for link in fs.folder_links(list(named))]

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy an object: within the storage if possible, otherwise by decrypting and encrypting it."""
        (fs1, inner1), (fs2, inner2) = self._locate(path1), self._locate(path2)
        if fs1 is fs2:
            fs1.cp_file(inner1, inner2, **kwargs)
        else:
            super().cp_file(path1, path2)

    def mv(self, path1: str, path2: str, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Move objects, the originals last; see `CompleteView.mv`. Moving a staged version publishes it."""
        path = self._strip_protocol(path1) if isinstance(path1, str) else ""
        if path not in self.staged:
            super().mv(path1, path2, recursive=recursive, maxdepth=maxdepth, **kwargs)
            return
        writer = self.staged.take(path, self._strip_protocol(path2))
        if writer not in self.transaction.files:  # a transaction commits its files at its end
            writer.commit()

    def rm_file(self, path: str) -> None:
        """Remove an object."""
        if not self._unstage(path):
            fs, inner = self._locate(path)
            fs.rm_file(inner)

    def rm(self, path: str | Iterable[str], recursive: bool = False, maxdepth: int | None = None) -> None:  # noqa: FBT001, FBT002
        """Remove objects, and with `recursive` also folders."""
        for one in [path] if isinstance(path, str) else path:
            if not self._unstage(one):
                fs, inner = self._locate(one)
                fs.rm(inner, recursive=recursive, maxdepth=maxdepth)

    def _unstage(self, path: str) -> bool:
        return self.staged.discard(self._strip_protocol(path), self.transaction)

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:  # noqa: FBT001, FBT002
        """Create a folder in a folder dataset, if its storage has folders."""
        if self._is_port(self._strip_protocol(path)):
            return
        fs, inner = self._locate(path)
        fs.mkdir(inner, create_parents=create_parents, **kwargs)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:  # noqa: FBT001, FBT002
        """Create a folder and its parents in a folder dataset, if its storage has folders."""
        if self._is_port(self._strip_protocol(path)):
            return  # fsspec creates the folder of every file that it opens for writing
        fs, inner = self._locate(path)
        fs.makedirs(inner, exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder of a folder dataset."""
        fs, inner = self._locate(path)
        fs.rmdir(inner)

    def created(self, path: str) -> Any:
        """Return the creation time that the storage reports."""
        fs, inner = self._locate(path)
        return fs.created(inner)

    def modified(self, path: str) -> Any:
        """Return the modification time that the storage reports."""
        fs, inner = self._locate(path)
        return fs.modified(inner)

    def refresh(self) -> None:
        """Drop the datasets' connections, so that the app config is read again for renewed credentials."""
        self._datasets.clear()
