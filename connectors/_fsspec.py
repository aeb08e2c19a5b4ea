"""The part of fsspec that this project stands on, in one place, with types: fsspec ships none.

`fsspec_types.pyi` beside this file describes it to type checkers.
"""

from fsspec import AbstractFileSystem, Callback
from fsspec.asyn import AsyncFileSystem
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.transaction import Transaction

__all__ = [
    "DEFAULT_CALLBACK",
    "AbstractFileSystem",
    "AsyncFileSystem",
    "Callback",
    "LocalFileSystem",
    "MemoryFileSystem",
    "Transaction",
]
