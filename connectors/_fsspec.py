"""The part of fsspec that this project stands on, in one place, with types: fsspec ships none.

`_fsspec.pyi` beside this file describes it to type checkers.
"""

from fsspec import AbstractFileSystem, Callback
from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.core import has_magic
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.local import make_path_posix as local_path
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.mapping import FSMap
from fsspec.transaction import Transaction
from fsspec.utils import other_paths

__all__ = [
    "DEFAULT_CALLBACK",
    "AbstractFileSystem",
    "AsyncFileSystem",
    "Callback",
    "FSMap",
    "LocalFileSystem",
    "MemoryFileSystem",
    "Transaction",
    "get_loop",
    "has_magic",
    "local_path",
    "other_paths",
]
