"""Everything that a process exposes: its logs and warnings, its errors with their variables, its objects.

This project's code is distinguished from libraries by its files, and its classes by their modules.
"""

from __future__ import annotations

import copy
import gc
import http.client
import importlib
import io
import json
import logging
import pickle
import traceback
import types
import warnings
import weakref
from collections import deque
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncssh
import cloudpickle
from servers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["everything_logged", "files_below", "frames_of", "printed", "reachable", "serialised", "texts_of"]

MAX_OBJECTS = 15_000
"""The maximum number of objects that are visited from the given ones."""
_OURS = tuple(
    f"{folder}/"  # in this repository, or in the wheels under test
    for name in (
        "connectors",
        *(f"connectors_{name}" for name in ("azure", "cdh", "gcs", "https", "pkcs11", "s3", "sftp", "vault")),
    )
    for folder in importlib.import_module(name).__path__
)
_LEAVES = (
    *(str, bytes, int, float, bool, type(None), type, types.ModuleType, types.FrameType, types.CodeType),
    # Functions may keep secrets in their variables: neither a debugger nor a traceback shows those.
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.CellType, types.GeneratorType),
    *(logging.Logger, logging.Handler, weakref.ref),
)


class _Everything(logging.Handler):
    """Keeps everything of each record that any other handler could output."""

    def __init__(self) -> None:
        super().__init__(level=1)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = f"{record.name}: {record.getMessage()} {vars(record)}"
        if record.exc_info and record.exc_info[1]:
            text += "".join(traceback.format_exception(record.exc_info[1]))
        self.texts.append(text)


@contextmanager
def everything_logged(*, packets: bool = False) -> Iterator[list[str]]:
    """Enable all logs of every library, and collect them, together with warnings and printed text.

    Args:
        packets: include the dumps of every packet that asyncssh logs, which are many.
    """
    handler, printed = _Everything(), io.StringIO()
    root = logging.getLogger()
    loggers = [root, *(one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger))]
    before = [(one, one.level, one.disabled) for one in loggers]
    for one in loggers:
        one.setLevel(1 if one is root else logging.NOTSET)
        one.disabled = False
        if not one.propagate or one is root:
            one.addHandler(handler)
    asyncssh.set_debug_level(3 if packets else 2)
    asyncssh.set_log_level(1)
    http.client.HTTPConnection.debuglevel = 1
    with warnings.catch_warnings(record=True) as warned, redirect_stdout(printed), redirect_stderr(printed):
        warnings.simplefilter("always")
        try:
            yield handler.texts
        finally:
            http.client.HTTPConnection.debuglevel = 0
            asyncssh.set_debug_level(1)
            for one, level, disabled in before:
                one.setLevel(level)
                one.disabled = disabled
                one.removeHandler(handler)
    handler.texts.append(printed.getvalue())
    handler.texts += [f"{one.message} {one.source!r}" for one in warned]


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it refers to, whether or not they are shown."""
    waiting, seen = [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [other for other in (one.__cause__, one.__context__) if other is not None]
            waiting += getattr(one, "exceptions", ())


def texts_of(error: BaseException) -> Iterator[str]:
    """Yield the texts of an error and of all errors that it refers to, in every form."""
    for one in _chain(error):
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)), *getattr(one, "__notes__", ()))
        yield from traceback.format_exception(one)


def frames_of(error: BaseException) -> Iterator[tuple[str, str]]:
    """Yield each traceback frame of an error: its place, and the repr of its variables.

    This is what crash reporters send: what `traceback.TracebackException(…, capture_locals=True)` shows, and the
    attributes of our own objects among the variables. Frames of tests are omitted.
    """
    for one in _chain(error):
        shown = traceback.TracebackException.from_exception(one, capture_locals=True, lookup_lines=False)
        for summary, (frame, _) in zip(shown.stack, traceback.walk_tb(one.__traceback__), strict=True):
            where = frame.f_code.co_filename
            if where.startswith((f"{ROOT}/tests/", f"{ROOT}/plugins/")) and "/tests/" in where:
                continue
            text = "\n".join(f"{name} = {value}" for name, value in (summary.locals or {}).items())
            if where.startswith(_OURS):
                text += "".join(f"\n{_attributes(value)}" for value in frame.f_locals.values() if _is_ours(value))
            yield f"{'/'.join(Path(where).parts[-2:])}:{frame.f_code.co_name}", text


def _is_ours(value: object) -> bool:
    return type(value).__module__.split(".")[0].startswith("connectors")


def _attributes(value: object) -> str:
    """Return an object's attributes as a debugger shows them: the repr of each."""
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    slots = {name: getattr(value, name) for name in names if isinstance(name, str) and hasattr(value, name)}
    return f"{getattr(value, '__dict__', {})!r} {slots!r}"


def reachable(*roots: object) -> list[object]:
    """Return the objects that are reachable from others, the nearest first, at most `MAX_OBJECTS` of them."""
    waiting, seen, found = deque(roots), set(), []
    while waiting and len(found) < MAX_OBJECTS:
        one = waiting.popleft()
        if id(one) in seen or isinstance(one, _LEAVES):
            continue
        seen.add(id(one))
        found.append(one)
        with suppress(ReferenceError):
            waiting += gc.get_referents(one)
    return found


def printed(*roots: object) -> Iterator[str]:
    """Yield how the objects that are reachable from others print; our own objects with their attributes.

    Of collections, only the members are visited: a library may keep a secret in a dictionary that nobody prints.
    """
    for one in reachable(*roots):
        if isinstance(one, (dict, list, tuple, set, frozenset, deque, BaseException)):
            continue
        with suppress(Exception):  # library objects that are half initialised or half closed
            yield f"{one!r} {one!s} {one:}"
        if _is_ours(one):
            yield f"{one!r} {one!s} {_attributes(one)}"


def serialised(*values: object) -> Iterator[str | bytes]:
    """Yield the results of pickling, copying and JSON-encoding objects, or the texts of the errors."""
    ways = [
        *(
            lambda one, protocol=protocol: pickle.dumps(one, protocol)
            for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
        ),
        cloudpickle.dumps,
        lambda one: repr(copy.copy(one)),
        lambda one: repr(copy.deepcopy(one)),
        lambda one: json.dumps(one, default=repr),
        lambda one: json.dumps(one, default=_members),
        lambda one: one.to_json(),
        lambda one: one.to_json(include_password=False),
        lambda one: repr(one.to_dict()),
        lambda one: one.model_dump_json(),
        lambda one: repr(one.model_dump()),
        lambda one: repr(one.model_dump(mode="json")),
        lambda one: repr((one.storage_options, one.storage_args, one._fs_token, one.__dask_tokenize__())),
    ]
    for one in values:
        for way in ways:
            try:
                yield way(one)
            except Exception as error:  # noqa: BLE001 - its text is searched too
                yield from texts_of(error)
                yield from (text for where, text in frames_of(error) if where.startswith("connectors"))


def _members(value: Any) -> Any:
    return vars(value) if hasattr(value, "__dict__") else repr(value)


def files_below(*folders: Path) -> dict[str, bytes]:
    """Return the content of the files in folders, by path; it starts with the file's name, which is searched too."""
    paths = [path for folder in folders for path in sorted(folder.rglob("*"))]
    return {str(path): path.name.encode() + (path.read_bytes() if path.is_file() else b"") for path in paths}
