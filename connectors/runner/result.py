"""What a command came to, as a JSON document: written in bounded memory, read with suspicion."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigError
from connectors.streams.sources import BinaryFile, StrPath, open_local

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RESULT_LIMIT", "Result", "read_result", "result_pieces", "result_size"]

RESULT_LIMIT = 1 << 30
"""Bytes in the largest result that is read: a JSON string is in memory as a whole, or not at all."""

_PIECE = 3 << 16
_MEMBERS = ("returncode", "stdout", "stderr")
_CODES = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to.

    Attributes:
        returncode: its exit code; -N if signal N ended it.
        stdout: what it wrote to standard output.
        stderr: what it wrote to standard error.
    """

    returncode: int
    stdout: bytes = field(repr=False)
    stderr: bytes = field(repr=False)

    def to_json(self) -> str:
        r"""Return the document that `read_result` reads.

        >>> Result(0, b"8376\n", b"").to_json()
        '{"returncode": 0, "stdout": "ODM3Ngo=", "stderr": ""}'
        """
        texts = {"stdout": self.stdout, "stderr": self.stderr}
        encoded = {name: base64.b64encode(data).decode("ascii") for name, data in texts.items()}
        return json.dumps({"returncode": self.returncode, **encoded})


def result_pieces(returncode: int, stdout: BinaryFile, stderr: BinaryFile) -> Iterator[bytes]:
    r"""Yield a result's document piece by piece, from two files on a disk, each from its start.

    >>> import tempfile
    >>> with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
    ...     _ = stdout.write(b"8376\n"), stdout.flush()
    ...     b"".join(result_pieces(0, stdout, stderr))
    b'{"returncode": 0, "stdout": "ODM3Ngo=", "stderr": ""}'
    """
    yield b'{"returncode": %d, "stdout": "' % returncode
    yield from _base64(stdout)
    yield b'", "stderr": "'
    yield from _base64(stderr)
    yield b'"}'


def _base64(file: BinaryFile) -> Iterator[bytes]:
    # A buffered file gives all that was asked for, up to the end: only the last piece may need padding.
    with open(os.dup(file.fileno()), "rb") as again:
        again.seek(0)
        while data := again.read(_PIECE):
            yield base64.b64encode(data)


def result_size(returncode: int, stdout: BinaryFile, stderr: BinaryFile) -> int:
    """Return how many bytes `result_pieces` will yield."""
    encoded = sum(-(-os.fstat(file.fileno()).st_size // 3) * 4 for file in (stdout, stderr))
    return len(Result(returncode, b"", b"").to_json()) + encoded


def read_result(file: StrPath | BinaryFile) -> Result:
    r"""Read the result of a command.

    Args:
        file: a path, or a binary file. It holds plain JSON; a sealed one is opened with `connectors.open_reader`.

    Raises:
        ConfigError: it is no such document, or larger than `RESULT_LIMIT`.
        ObjectNotFound, NotAnObject: there is no such file, or it is a folder.

    >>> import io
    >>> read_result(io.BytesIO(b'{"returncode": 0, "stdout": "ODM3Ngo=", "stderr": ""}')).stdout
    b'8376\n'
    """
    if isinstance(file, (str, os.PathLike)):
        with open_local(file) as opened:
            data = _read_all(opened)
    else:
        data = _read_all(file)
    result = _parse(data)
    if isinstance(result, str):
        message = f"this is not the result of a command: {result}"
        raise ConfigError(message)
    return result


def _read_all(file: BinaryFile) -> bytes:
    pieces = []
    left = RESULT_LIMIT + 1
    # A pipe, or an unbuffered file, gives less than it is asked for without being at its end.
    while left > 0 and (data := file.read(min(left, 1 << 20))):
        pieces.append(data)
        left -= len(data)
    if left <= 0:
        message = f"this result is larger than {RESULT_LIMIT} bytes, which is the most that is read"
        raise ConfigError(message)
    return b"".join(pieces)


class _DuplicateMember(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _DuplicateMember
    return members


def _parse(data: bytes) -> Result | str:
    """Return the result, or what is wrong with it: without the text, which JSON's own errors hold."""
    try:
        return _checked(json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique))
    except UnicodeDecodeError:
        return "it is not text; if it is still sealed, open it with its key"
    except json.JSONDecodeError as error:
        return f"not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except _DuplicateMember:
        return "a member stands in it twice"
    except (RecursionError, ValueError):
        # ValueError is Python's limit on the digits of a number.
        return "it is nested too deeply, or has an endless number in it"


def _checked(document: object) -> Result | str:
    """Return the result that a document tells of, or which rule it breaks."""
    if not isinstance(document, dict):
        return "a JSON object, in braces, is expected"
    if missing := [name for name in _MEMBERS if name not in document]:
        return f"it lacks {' and '.join(missing)}"
    if len(document) > len(_MEMBERS):
        return f"it has members besides {', '.join(_MEMBERS)}"
    code = document["returncode"]
    # True is an integer to Python.
    if type(code) is not int or code not in _CODES:
        return "returncode is an integer of 32 bits"
    stdout, stderr = _decoded(document["stdout"]), _decoded(document["stderr"])
    if stdout is None or stderr is None:
        return f"{'stdout' if stdout is None else 'stderr'} is text in base64"
    return Result(code, stdout, stderr)


def _decoded(text: object) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else None
    except ValueError:
        return None
