"""The result of a command as a JSON document: written in bounded memory, parsed as untrusted input."""

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
"""Bytes in the largest result that is read, because a JSON string is parsed in memory as a whole."""

_PIECE = 3 << 16
_MEMBERS = ("returncode", "stdout", "stderr")
_CODES = range(-(1 << 31), 1 << 31)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a command.

    Attributes:
        returncode: its exit code; -N if signal N ended it.
        stdout: the bytes it wrote to standard output.
        stderr: the bytes it wrote to standard error.
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
    r"""Yield a result's document piece by piece, from two files, each read from its start.

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
    # A buffered file returns full pieces up to the end, so only the last one may need padding.
    with open(os.dup(file.fileno()), "rb") as again:
        again.seek(0)
        while data := again.read(_PIECE):
            yield base64.b64encode(data)


def result_size(returncode: int, stdout: BinaryFile, stderr: BinaryFile) -> int:
    """Return the number of bytes that `result_pieces` will yield."""
    encoded = sum(-(-os.fstat(file.fileno()).st_size // 3) * 4 for file in (stdout, stderr))
    return len(Result(returncode, b"", b"").to_json()) + encoded


def read_result(file: StrPath | BinaryFile) -> Result:
    r"""Read the result of a command.

    Args:
        file: a path, or a binary file with plain JSON; open a sealed one with `connectors.open_reader` first.

    Raises:
        ConfigError: it is not a result, or it is larger than `RESULT_LIMIT`.
        ObjectNotFound, NotAnObject: the file does not exist, or is a folder.

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
    # A pipe or an unbuffered file may return less than requested before its end.
    while left > 0 and (data := file.read(min(left, 1 << 20))):
        pieces.append(data)
        left -= len(data)
    if left <= 0:
        message = f"this result is larger than the limit of {RESULT_LIMIT} bytes"
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
    """Return the result, or the problem, without quoting the text as JSON's own errors do."""
    try:
        return _checked(json.loads(data.decode("utf-8-sig"), object_pairs_hook=_unique))
    except UnicodeDecodeError:
        return "it is not text; if it is still encrypted, decrypt it first"
    except json.JSONDecodeError as error:
        return f"not JSON at line {error.lineno}, column {error.colno} ({error.msg})"
    except _DuplicateMember:
        return "it has a member twice"
    except (RecursionError, ValueError):
        # ValueError: Python limits the digits of a number.
        return "it is nested too deeply, or a number in it is too long"


def _checked(document: object) -> Result | str:
    """Return the result in a document, or the rule that the document breaks."""
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
