"""Every public method of fsspec is ours, or inherited for a reason."""

from __future__ import annotations

import inspect

import fsspec
import pytest
from fsspec.asyn import AsyncFileSystem

from connectors.app.protocol import DatasetFileSystem
from connectors.fs.encrypted import AsyncEncryptedFileSystem, EncryptedFileSystem

OURS = {
    "cat_file", "cat_ranges", "copy", "cp_file", "created", "exists", "expand_path", "find", "get", "get_file",
    "get_mapper", "glob", "info", "isdir", "isfile", "ls", "makedirs", "mkdir", "modified", "mv", "open", "pipe_file",
    "put", "put_file", "rm", "rm_file", "rmdir", "walk",
}  # fmt: skip
"""Methods that both filesystems define, instead of inheriting fsspec's."""
INHERITED = {
    "cat": "expands paths by `expand_path`, reads by `cat_file`; swallows errors only if asked to by on_error",
    "checksum": "hashes `info`",
    "clear_instance_cache": "touches no storage",
    "cp": "is `copy`",
    "current": "touches no storage",
    "delete": "is `rm`",
    "disk_usage": "is `du`",
    "download": "is `get`",
    "du": "adds up `info` of what `find` lists",
    "end_transaction": "commits by `open`'s files",
    "from_dict": "touches no storage",
    "from_json": "touches no storage",
    "fsid": "touches no storage",
    "head": "reads by `open`",
    "invalidate_cache": "touches no storage",
    "lexists": "is `exists`",
    "listdir": "is `ls`",
    "makedir": "is `mkdir`",
    "mkdirs": "is `makedirs`",
    "move": "is `mv`",
    "pipe": "writes by `pipe_file`",
    "read_block": "reads by `open`",
    "read_bytes": "is `cat_file`",
    "read_text": "reads by `open`",
    "rename": "is `mv`",
    "sign": "refuses: NotImplementedError",
    "size": "is `info`",
    "sizes": "is `info`",
    "start_transaction": "touches no storage",
    "stat": "is `info`",
    "tail": "reads by `open`",
    "to_dict": "touches no storage",
    "to_json": "touches no storage",
    "touch": "asks `exists`, writes by `open`",
    "tree": "lists by `ls`",
    "ukey": "hashes `info`",
    "unstrip_protocol": "touches no storage",
    "upload": "is `put`",
    "write_bytes": "is `pipe_file`",
    "write_text": "writes by `open`",
}


def home(kind, name):
    """The package that defines a class's attribute."""
    return next(one.__module__.partition(".")[0] for one in kind.__mro__ if name in vars(one))


@pytest.mark.parametrize("kind", [EncryptedFileSystem, DatasetFileSystem])
def test_every_public_method_of_fsspec_is_decided_on(kind):
    public = {
        name
        for name in dir(fsspec.AbstractFileSystem)
        if not name.startswith("_") and callable(getattr(fsspec.AbstractFileSystem, name))
    } - {"transaction_type"}
    assert public - OURS - INHERITED.keys() == set(), "decide on these: complete or an error"
    assert {name for name in OURS if home(kind, name) == "fsspec"} == set()


def test_every_coroutine_of_fsspec_is_ours():
    names = [
        name
        for name, member in inspect.getmembers(AsyncFileSystem)
        if inspect.iscoroutinefunction(member) or inspect.isasyncgenfunction(member)
    ]
    theirs = {name for name in names if home(AsyncEncryptedFileSystem, name) == "fsspec"}
    assert theirs <= {"_process_limits", "open_async"}
