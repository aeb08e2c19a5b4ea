"""The whole command: its verbs put together, and every way in which it can end."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import signal
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common import console, exit_codes
from connectors.cli.data import dataset, encrypt, files, fingerprint, keygen, presign
from connectors.cli.data import run as run_verb
from connectors.cli.dev import backends, bench, demo, new_backend
from connectors.cli.workflow import group as workflow
from connectors.cli.workflow import identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

__all__ = ["DEBUG_VARIABLE", "application", "run"]

DEBUG_VARIABLE = "CONNECTORS_DEBUG"
"""The environment variable that turns tracebacks on, as ``--debug`` does."""
PROGRAM = "connectors"
COMPLETION_VARIABLE = "_CONNECTORS_COMPLETE"


def application(words: Sequence[str] | None = None) -> typer.Typer:
    """Return the command with its verbs.

    Args:
        words: the command line. The verbs of a large group are left out if the group's name is not on it; None: all.
    """
    app = typer.Typer(
        name=PROGRAM,
        # Plain help starts in half the time, and can be copied from. No pretty exceptions: they show variables.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog=exit_codes.epilog(),
    )
    app.callback()(_program)
    for group in (keygen, encrypt, fingerprint, presign, dataset, files, run_verb, identity):
        group.register(app)
    workflow.register(app, verbs=words is None or "workflow" in words)
    for group in (backends, new_backend, bench, demo):
        group.register(app)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - nothing else asks for it

        console.say(f"{PROGRAM} {version('enclave-connectors')}")
        raise typer.Exit


def _program(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help=f"Show where an error comes from; ${DEBUG_VARIABLE}=1 does it too."),
    ] = False,
) -> None:
    """Seal datasets, hand them to an application in an enclave, and open its results."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` and return its exit code; nothing but its own lines reaches the terminal."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_missing_streams()
    try:
        with _silent_libraries(), _ended_by_signals():
            code = _invoke(words)
            console.flush()
    except BaseException as error:  # noqa: BLE001 - whatever it is, it ends as one line and an exit code
        gone = isinstance(error, BrokenPipeError) and console.output_is_closed()
        code, message = exit_codes.describe(exit_codes.OutputClosed() if gone else error)
        if message is not None:
            if _debugs(words):
                console.write_error(exit_codes.trace(error))
            console.error(message)
        console.give_up_output()
    return code


def _open_missing_streams() -> None:
    """Give a process that was started without a standard stream one that leads nowhere.

    Otherwise the first file that is opened takes the stream's number, and what is printed goes into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _invoke(words: list[str]) -> int:
    command = typer.main.get_command(application(None if COMPLETION_VARIABLE in os.environ else words))
    if COMPLETION_VARIABLE in os.environ:
        command.main(args=words, prog_name=PROGRAM)
    # Not `command.main`: that takes any broken pipe, also one to a storage, for the end of our standard output.
    with command.make_context(PROGRAM, [*words] or ["--help"]) as context:
        try:
            command.invoke(context)
        except exit_codes.UsageMistake as mistake:
            mistake.help_at = f"{PROGRAM} {context.invoked_subcommand}"
            raise
    return 0


def _debugs(words: list[str]) -> bool:
    if os.environ.get(DEBUG_VARIABLE, "0") not in ("", "0"):
        return True
    return "--debug" in itertools.takewhile(lambda word: word.startswith("-"), words)


@contextlib.contextmanager
def _silent_libraries() -> Iterator[None]:
    """Keep what libraries log off the terminal: an HTTP client's warnings hold the URLs it asks for, signatures too."""

    def warn(message: Warning | str, *_: object) -> None:
        console.error(str(message), kind="warning")

    silent = logging.NullHandler()  # without any handler, Python prints warnings to standard error
    logging.getLogger().addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn  # type: ignore[assignment]  # it needs no more than the message
            yield
    finally:
        logging.getLogger().removeHandler(silent)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let a signal that ends the process unwind it first: what was staged for writing is removed on the way."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        if before[number] == signal.SIG_DFL:
            signal.signal(number, leave)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])
