"""The command itself: the table of its verbs, and how it runs and ends."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import sys
import warnings
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from connectors.cli.common import console, exit_codes
from connectors.cli.common.lazy import LazyGroup
from connectors.system.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DEBUG_VARIABLE", "application", "run"]

DEBUG_VARIABLE = "CONNECTORS_DEBUG"
"""The environment variable that turns tracebacks on, as ``--debug`` does."""
PROGRAM = "connectors"
COMPLETION_VARIABLE = "_CONNECTORS_COMPLETE"


class _Verbs(LazyGroup):
    modules: ClassVar = {
        "connectors.cli.data.keygen": {
            "keygen": "Generate a key: 64 hex digits, in a file that only you can read.",
        },
        "connectors.cli.data.keys": {
            "keys": "List the installed key sources.",
            "key": "Show what the keys of documents are held by, check them, wrap them anew, and export them to Tink.",
        },
        "connectors.cli.data.encrypt": {
            "encrypt": "Encrypt a file.",
            "decrypt": "Decrypt a sealed file.",
        },
        "connectors.cli.data.fingerprint": {
            "fingerprint": "Print the pin of a sealed object.",
            "manifest": "Write the manifest of a folder dataset, and print its pin.",
        },
        "connectors.cli.data.rekey": {
            "rekey": "Encrypt a dataset or a sealed file under another key.",
        },
        "connectors.cli.data.columns": {
            "columns": "List the columns of a sealed Parquet file and their keys, or write one.",
        },
        "connectors.cli.data.presign": {
            "presign": "Sign a URL to download or upload an object.",
        },
        "connectors.cli.data.dataset": {
            "dataset": "Check credentials, and add datasets to an app config.",
        },
        "connectors.cli.data.objects": {
            "ls": "List the datasets of an app config, or the objects of a folder dataset.",
            "cat": "Decrypt a dataset to standard output.",
            "cp": "Copy to, from or between datasets.",
        },
        "connectors.cli.data.run": {
            "run": "Run a command on the inputs, and publish its result.",
            "result": "Show the result of a command: its exit code and its output.",
        },
        "connectors.cli.workflow.group": {
            "identity": "Make an identity to sign with, and choose the parties that you trust.",
            "workflow": "Connect datasets with applications, and have all their owners approve.",
        },
        "connectors.cli.dev.backends": {
            "backends": "List the installed storage backends.",
            "schema": "Print the JSON Schema of credentials documents.",
        },
        "connectors.cli.dev.new_backend": {
            "new-backend": "Create a plugin for another storage system, in a new folder.",
        },
        "connectors.cli.dev.bench": {
            "bench": "Measure how fast this machine decrypts and encrypts, and estimate the time for a large object.",
        },
        "connectors.cli.dev.demo": {
            "demo": "Encrypt patient data, run an application on it and decrypt the result, all on this machine.",
        },
    }


def application() -> typer.Typer:
    """Return the command with its verbs."""
    app = typer.Typer(
        name=PROGRAM,
        cls=_Verbs,
        # Plain help is faster and can be copied. Pretty exceptions would show the values of variables.
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        epilog=exit_codes.epilog(),
    )
    app.callback()(_program)
    return app


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - nothing else asks for it

        console.print_line(f"{PROGRAM} {version('enclave-connectors')}")
        raise typer.Exit


def _program(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help=f"Show tracebacks, as ${DEBUG_VARIABLE}=1 does."),
    ] = False,
) -> None:
    """Encrypt datasets, pass them to an application in an enclave, and decrypt its results."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` and return its exit code. Only its own lines reach the terminal."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_missing_streams()
    console.prepare()
    try:
        # A signal unwinds the stack, so that staged files are removed.
        with _silent_libraries(), Stops() as stops, stops.interrupting():
            code = _invoke(words)
            console.flush()
    except BaseException as error:  # noqa: BLE001 - every error ends as one line and an exit code
        gone = isinstance(error, BrokenPipeError) and console.output_is_closed()
        code, message = exit_codes.describe(exit_codes.OutputClosed() if gone else error)
        if message is not None:
            if _debugs(words):
                console.write_error(exit_codes.trace(error))
            console.error(message)
        console.give_up_output()
    return code


def _open_missing_streams() -> None:
    """Open the null device for each standard stream that the process was started without.

    Otherwise the first file that is opened gets the stream's descriptor, and output would be written into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open as long as the process


def _invoke(words: list[str]) -> int:
    command = typer.main.get_command(application())
    if COMPLETION_VARIABLE in os.environ:
        command.main(args=words, prog_name=PROGRAM)
    # Not `command.main`: it treats every broken pipe, also one to a storage, as the end of our standard output.
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
    """Keep library logs off the terminal: an HTTP client's warnings contain URLs with their signatures."""

    def warn(message: Warning | str, *_: object) -> None:
        console.error(str(message), kind="warning")

    silent = logging.NullHandler()  # without any handler, Python prints warnings to standard error
    logging.getLogger().addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn  # type: ignore[assignment]  # the message is all it needs
            yield
    finally:
        logging.getLogger().removeHandler(silent)
