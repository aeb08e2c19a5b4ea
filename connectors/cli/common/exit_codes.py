"""Where an exit code is chosen: `describe` gives the code for an error, and one line without secrets that says why.

`MEANINGS` is the table of the codes, as ``connectors --help`` shows it.
"""

from __future__ import annotations

import os
import re
import signal
import traceback
from typing import Final

import typer

from connectors.errors import ConnectorError, IntegrityError, InvalidDocument, MachineFailed, NotApproved
from connectors.names import printable
from connectors.system.stops import Stopped

__all__ = [
    "CHECK_FAILED",
    "MEANINGS",
    "TAMPERED",
    "OutputClosed",
    "UsageMistake",
    "describe",
    "epilog",
    "one_line",
    "scrub",
    "trace",
]

FAILED: Final = 1
CHECK_FAILED: Final = 2
TAMPERED: Final = 3
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
MEANINGS: Final = {
    0: "done",
    FAILED: "this machine failed (a full disk, a missing permission), or a defect",
    CHECK_FAILED: "bad input or configuration, a refused request, or a storage error",
    TAMPERED: "sealed bytes do not verify: changed, or encrypted with another key",
    INTERRUPTED: "interrupted; 128 + N if signal N ended it",
    PIPE_CLOSED: "standard output was closed by its reader",
}

# Typer brought Click along at first and holds a copy of it now; what both have in common is reached through Typer.
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
_ClickError: type[Exception] = _UsageError.__bases__[0]

_MASK = "**********"
_SECRETS = (
    (re.compile(r"\binput_value=.*"), "input_value=…"),  # what pydantic was given, shortened in the middle
    (re.compile(r"(?<![0-9A-Fa-f])[0-9A-Fa-f]{24,}(?![0-9A-Fa-f])"), _MASK),
    (re.compile(r"(?<![A-Za-z0-9+])[A-Za-z0-9+]{64,}={0,2}"), _MASK),
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://)[^\s/'\"@]*@"), r"\1"),
    (re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*://[^\s?'\"]*)\?[^\s'\"…]+"), r"\1?…"),
    (re.compile(r"(?i)\b((?:X-(?:Amz|Goog)-[A-Za-z-]+|AWSAccessKeyId|Signature|sig|se|sp|sv)=)[^\s&'\"]+"), r"\1…"),
)
_DIGEST = re.compile(r"(?<![0-9A-Za-z])([0-9a-f]{12})[0-9a-f]{52,}(?![0-9A-Za-z])")


class OutputClosed(Exception):
    """Whoever read our standard output has left: there is nobody to write to."""


class UsageMistake(ConnectorError):
    """Words that do not go together on a command line.

    Attributes:
        help_at: the command whose help says which do.
    """

    help_at: str | None = None

    def __str__(self) -> str:
        """Return the message, and where to look."""
        return f"{super().__str__()} (see {self.help_at} --help)" if self.help_at else super().__str__()


def one_line(text: str) -> str:
    """Return `text` as one printable line: storages say what they like, and a terminal obeys it."""
    return printable(" ".join(text.split()))


def scrub(text: str) -> str:
    """Return `text` without keys, signed queries and passwords, wherever they came from.

    Our own errors hold none. This is for what people put into the wrong place of a command line, and for the errors
    of other libraries in a ``--debug`` traceback.

    >>> scrub("there is no file https://me:pw@host/object?sig=abc, nor " + "5F" * 32)
    'there is no file https://host/object?… nor **********'
    """
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def epilog() -> str:
    """Return the table of the codes for the end of the command's help."""
    lines = "\n".join(f"  {code:<3}  {meaning}" for code, meaning in MEANINGS.items())
    # What follows a line with a backspace alone is printed as it is.
    return f"\b\nExit codes:\n{lines}\n  connectors run passes on the exit code of its command."


def describe(error: BaseException) -> tuple[int, str | None]:
    """Return the exit code for `error`, and the line that tells its reader what to do; None where that is nothing."""
    match error:
        case typer.Exit():
            answer: tuple[int, str | None] = error.exit_code, None
        case KeyboardInterrupt() | typer.Abort() | Stopped(signal=signal.SIGINT):
            answer = INTERRUPTED, "interrupted"
        case SystemExit():
            answer = (error.code if isinstance(error.code, int) else 0 if error.code is None else FAILED), None
        case OutputClosed():
            answer = PIPE_CLOSED, None
        case IntegrityError():
            answer = TAMPERED, str(error)
        case ConnectorError():
            answer = FAILED if isinstance(error, MachineFailed) else CHECK_FAILED, _message(error)
        case OSError():
            answer = FAILED, _system_message(error)
        case MemoryError():
            answer = FAILED, "there is not enough memory"
        case Exception() if isinstance(error, _ClickError):
            answer = CHECK_FAILED, _usage_message(error)
        case _:
            # The message of a foreign error may hold anything, a signed URL for one: its kind has to do.
            kind = type(error).__name__
            answer = FAILED, f"an unexpected {kind}, which is a defect; `connectors --debug …` shows where"
    return answer


def _message(error: ConnectorError) -> str:
    # What these are about is named by digests, which look like keys and would be masked: their beginnings stay.
    named_by_digest = isinstance(error, (InvalidDocument, NotApproved))
    return _DIGEST.sub(r"\1…", str(error)) if named_by_digest else str(error)


def _system_message(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    if error.filename is None:
        return reason
    return f"{os.fsdecode(error.filename)}: {reason}" if isinstance(error.filename, (str, bytes)) else reason


def _usage_message(error: Exception) -> str:
    """Return what Typer says of a command line that it cannot take, and where to look."""
    # `format_message` belongs to Click's exceptions, which have no name of their own here.
    text = one_line(str(error.format_message())).rstrip(".")  # type: ignore[attr-defined]
    text = re.sub(r"Input should be a valid integer.*", "a whole number is expected", text)
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "connectors"
    return f"{text[:1].lower()}{text[1:]} (see {path} --help)"


def trace(error: BaseException) -> str:
    """Return the traceback of `error`, without the values of any variables, and scrubbed."""
    return scrub("".join(traceback.format_exception(error)))
