"""Tools of the contracts: a guard against shadowed tests, unique object names, and a search for secrets."""

from __future__ import annotations

import json
import logging
import pickle
import random
import traceback
import uuid
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self, TypeVar

import pytest
from pydantic import BaseModel

import connectors
from connectors.app.layout import write_dataset
from connectors.secrets import SecretKey, SecretText
from connectors.storage.capabilities import creates_exclusively, replaces_atomically
from connectors.storage.registry import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from connectors._fsspec import AbstractFileSystem
    from connectors.credentials import Credentials
    from connectors.storage.backend import Backend
    from connectors.testing.store import Connection, Store

__all__ = [
    "CHUNK",
    "KEY",
    "MIB",
    "ODD_NAMES",
    "OTHER_KEY",
    "SIZES",
    "Contract",
    "Heard",
    "can_create",
    "can_replace",
    "connect",
    "dataset",
    "everything_about",
    "in_child",
    "lay_down",
    "leaks",
    "leaks_among",
    "overrides_contract",
    "plain",
    "resolved",
    "sealed",
]

KEY = "c0ffee" * 10 + "1234"
"""The key of the contracts: 64 hexadecimal digits."""
CHUNK = 16384
"""Plain bytes in a full chunk of the default format."""
MIB = 1 << 20
OTHER_KEY = "0ff1ce" * 10 + "4321"
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 7 * CHUNK // 2, 3 * MIB + 17]
ODD_NAMES = [
    "a name with spaces",
    "Krankenhaus Süd, 日本",
    "100%",
    "50%25",
    "what?",
    "item#1",
    "a+b&c=d;e",
    "it's (a) [copy] {1}",
    "dots...and~tilde",
]

F = TypeVar("F", bound="Callable[..., object]")


def overrides_contract(reason: str) -> Callable[[F], F]:
    """Allow a test to replace the contract's test of the same name.

    Args:
        reason: why the storage cannot fulfil the contract here.
    """

    def mark(test: F) -> F:
        test.overrides_contract = reason  # type: ignore[attr-defined]
        return test

    return mark


class Contract:
    """The base of all contracts: shadowing a contract's test by accident is an error."""

    def __init_subclass__(cls) -> None:
        """Refuse a test that hides an inherited one without `overrides_contract`.

        Raises:
            TypeError: a test hides an inherited one.
        """
        super().__init_subclass__()
        for name, test in vars(cls).items():
            inherited = any(name in vars(base) for base in cls.__mro__[1:])
            if name.startswith("test_") and inherited and not getattr(test, "overrides_contract", None):
                message = (
                    f"{cls.__name__}.{name} hides the contract's test of that name, which would not run; give it "
                    "another name, or use @overrides_contract(reason)"
                )
                raise TypeError(message)

    @pytest.fixture
    def store(self) -> Store:
        """The storage under test; a subclass overrides it."""
        message = f"{type(self).__name__} needs a fixture `store` that returns a connectors.testing.Store"
        raise NotImplementedError(message)

    @pytest.fixture
    def name(self, store: Store) -> Iterator[str]:
        """A name that no other test uses."""
        name = f"contract-{uuid.uuid4().hex[:12]}"
        yield name
        store.tidy(name)


def dataset(connection: Connection, *, key: str | None = KEY, **encryption: Any) -> connectors.Dataset:
    """Return the dataset at a connection, encrypted with `key`, or plain without one."""
    sealing = {"key": key, **encryption} if key else None
    return connectors.Dataset(connection.location, {**connection.document, "encryption": sealing})


def can_replace(connection: Connection) -> bool:
    """Return whether a storage replaces objects in one step, as its filesystem declares."""
    return replaces_atomically(connect(connection)[0])


def can_create(connection: Connection) -> bool:
    """Return whether a storage creates objects exclusively, as its filesystem declares."""
    return creates_exclusively(connect(connection)[0])


def connect(connection: Connection) -> tuple[AbstractFileSystem, str]:
    """Return the backend's own filesystem, of sealed bytes, and the path of the object."""
    backend, credentials = resolved(connection)
    return backend.connect(connection.location, credentials)


def resolved(connection: Connection) -> tuple[Backend, Credentials]:
    """Return a connection's backend and its credentials, for a plain dataset."""
    return resolve(connection.location, {**connection.document, "encryption": None})


def lay_down(
    root: Path, connection: Connection, port: str = "input", name: str = "object", key: str | None = KEY
) -> connectors.Dataset:
    """Create a dataset in an app config, encrypted with `key`, or plain without one, and load it from there."""
    document = json.dumps({**connection.document, "encryption": {"key": key} if key else None}).encode()
    write_dataset(str(root), port, name, connection.location, document, replace=True)
    return connectors.load(root)[port][name]


def plain(size: int, seed: int = 0) -> bytes:
    """Return `size` reproducible pseudo-random bytes, with line breaks."""
    data = bytearray(random.Random(seed).randbytes(size))  # noqa: S311 - no secret
    data[::61] = b"\n" * len(data[::61])
    return bytes(data)


def sealed(data: bytes, key: str = KEY, **options: Any) -> bytes:
    """Return bytes encrypted as a data owner would do it, in the default format."""
    out = BytesIO()
    connectors.encrypt(BytesIO(data), out, key, **options)
    return out.getvalue()


def secrets_of(value: object) -> Iterator[str]:
    """Yield every secret in a validated credentials document."""
    if isinstance(value, SecretKey):
        yield value.reveal().hex()
    elif isinstance(value, SecretText):
        yield value.reveal()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from secrets_of(getattr(value, name))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from secrets_of(one)


def leaks(given: connectors.Dataset, *shown: object) -> list[str]:
    """Return which of a dataset's secrets appear in the given objects.

    Exceptions are searched with their causes, contexts and notes.
    """
    return leaks_among(secrets_of(given.credentials), *shown)


def leaks_among(secrets: Iterable[str], *shown: object) -> list[str]:
    """Return which secrets appear in the given objects, as `leaks` does, each by its first four characters."""
    texts = [_text(one) for one in shown]
    found = []
    for secret in secrets:
        forms = {secret, secret.upper(), secret.lower(), *secret.splitlines()}
        found += [form[:4] + "…" for form in forms if len(form) >= 8 and any(form in text for text in texts)]
    return found


def _text(shown: object) -> str:
    if isinstance(shown, BaseException):
        seen, texts, waiting = set(), [], [shown]
        while waiting:
            error = waiting.pop()
            if id(error) in seen:
                continue
            seen.add(id(error))
            texts += [*traceback.format_exception(error), repr(error), repr(vars(error))]
            waiting += [one for one in (error.__cause__, error.__context__) if one is not None]
        return "\n".join(texts)
    if isinstance(shown, bytes):
        return shown.decode("latin-1")
    return shown if isinstance(shown, str) else f"{shown!r}\n{shown}"


def everything_about(filesystem: Any) -> list[object]:
    """Return everything that fsspec and debuggers would show or serialize of a filesystem."""
    shown: list[object] = [filesystem, vars(filesystem), filesystem.storage_options, filesystem.storage_args]
    for send in (pickle.dumps, lambda one: one.to_json(), lambda one: one.to_dict()):
        try:
            shown.append(send(filesystem))
        except Exception as error:  # noqa: BLE001 - a refusal is correct, but must not contain a secret either
            shown.append(error)
    return shown


class Heard(logging.Handler):
    """A handler on the root logger that captures everything at DEBUG, from every library."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message."""
        self.lines.append(self.format(record))

    def __enter__(self) -> Self:
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)


def in_child(context: str, work: Callable[..., Any], *arguments: object) -> Any:
    """Return what `work` returns in another process, started by "fork" or "spawn"."""
    import multiprocessing  # noqa: PLC0415
    import warnings  # noqa: PLC0415

    processes: Any = multiprocessing.get_context(context)
    here, there = processes.Pipe(duplex=False)
    process = processes.Process(target=_report, args=(there, work, arguments))
    with warnings.catch_warnings():
        # Python warns about forking with threads, which is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    there.close()
    try:
        answer = here.recv() if here.poll(120) else "the child did not answer within two minutes"
    except EOFError:
        answer = "the child died"
    process.join(10)
    if process.is_alive():
        process.kill()
    assert isinstance(answer, tuple), answer
    return answer[0]


def _report(pipe: Any, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    try:
        pipe.send((work(*arguments),))
    except BaseException:  # noqa: BLE001 - the parent raises it
        pipe.send(traceback.format_exc())
    pipe.close()
