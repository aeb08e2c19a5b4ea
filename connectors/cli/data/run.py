"""``connectors run`` and ``connectors result``: run a command on the inputs, and show its result."""

from __future__ import annotations

import signal
import sys
import unicodedata
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from connectors import runner
from connectors.app.config import load
from connectors.cli.common import console
from connectors.cli.common.encryption import Context, OptionalKeyFile, SegmentSize, encryption_options
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.files import readable
from connectors.cli.common.key_files import read_key
from connectors.cli.common.options import (
    AppConfigFolder,
    AsJson,
    example,
)
from connectors.runner import read_result
from connectors.streams import open_reader

if TYPE_CHECKING:
    from connectors.runner import Result
    from connectors.streams.sources import BinaryFile

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    # Options after the command's name belong to the command, with or without a -- before it.
    settings = {"allow_interspersed_args": False}
    app.command("run", context_settings=settings, epilog=example("run -- python3 describe.py"))(run)
    app.command("result", epilog=example("result -K lab.hex result.json.sealed"))(result)


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")],
    *,
    app_config: AppConfigFolder = None,
    input_port: Annotated[
        str, typer.Option("--input-port", metavar="PORT", help="The port with the command's inputs.")
    ] = "input",
    output_port: Annotated[
        str, typer.Option("--output-port", metavar="PORT", help="The port that the result is written to.")
    ] = "output",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="NAME=PATH",
            help="Write a file of the command to dataset NAME; PATH is absolute, or relative to $CONNECTORS_OUTPUTS.",
        ),
    ] = None,
) -> None:
    """Run a command on the inputs, and publish its result.

    The paths of the decrypted inputs are appended to the command's arguments. Its output is shown as it appears, and is
    written as JSON to each dataset of the output port. The exit code is the command's. The plain files are in a private
    folder below $TMPDIR, which is removed at the end.
    """
    outputs = _outputs(output or [])

    try:
        done = runner.run(
            load(app_config),
            command,
            input_port=input_port,
            output_port=output_port,
            outputs=outputs,
            stdout=_unbuffered(sys.stdout),
            stderr=_unbuffered(sys.stderr),
            progress=console.progress,
        )
    except runner.CommandNotStarted as error:
        # This error has the exit code that a shell uses, so that `connectors run` can precede any command.
        console.error(str(error))
        raise typer.Exit(error.exit_code) from None
    if done.unpublished:
        failure = f"the command failed ({_ending(done.returncode)})"
        console.error(f"{failure}, so these datasets were not changed: {', '.join(done.unpublished)}", kind="warning")
    if done.published:
        console.note(f"Wrote {', '.join(done.published)}.")
    raise typer.Exit(done.exit_code)


def _outputs(options: list[str]) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for option in options:
        name, separator, path = option.partition("=")
        if not name or not separator or not path:
            message = f"--output expects NAME=PATH, a dataset of the output port and a file, not {option!r}"
            raise UsageMistake(message)
        if name in outputs:
            message = f"--output names {name!r} twice"
            raise UsageMistake(message)
        outputs[name] = path
    return outputs


def _unbuffered(stream: TextIO | None) -> BinaryFile | None:
    """Return the raw file of a text stream, so that no buffer keeps data when the reader has gone."""
    if stream is None:
        return None
    stream.flush()
    file: BinaryFile = getattr(stream.buffer, "raw", stream.buffer)
    return file


def result(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The result; - for stdin.")],
    *,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print only the command's standard output.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Print only the command's standard error.")] = False,
    as_json: AsJson = False,
    key_file: OptionalKeyFile = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, cobblestone-256, tink-gcm-hkdf or gcm.")
    ] = "auto",
    context: Context = None,
    segment_size: SegmentSize = None,
) -> None:
    """Show the result of a command: its exit code and its output.

    With -K, a sealed file is decrypted first. On a terminal, control characters are shown as escapes; a file or a pipe
    gets the bytes unchanged.
    """
    if stdout + stderr + as_json > 1:
        message = "use only one of --stdout, --stderr and --json"
        raise UsageMistake(message)
    if key_file is None and (format_ != "auto" or context is not None or segment_size is not None):
        message = "--format, --context and --segment-size need a key: -K FILE"
        raise UsageMistake(message)
    if file == key_file == "-":
        message = "the key and the result cannot both come from standard input"
        raise UsageMistake(message)
    found = _read(file, key_file, format_, context, segment_size)
    if as_json:
        console.print_line(found.to_json())
    elif stdout or stderr:
        _show(found.stdout if stdout else found.stderr)
    else:
        _report(found)


def _read(file: str, key_file: str | None, format_: str, context: str | None, segment_size: int | None) -> Result:

    with readable(file) as source:
        if key_file is None:
            return read_result(source)
        name, bound_to, size = encryption_options(format_, context, segment_size)
        with open_reader(source, read_key(key_file), format=name, context=bound_to, segment_size=size) as plain:
            return read_result(plain)


def _report(found: Result) -> None:
    """Write the exit code, and the command's output under two headings."""
    console.print_line(_ending(found.returncode))
    for label, data in (("stdout", found.stdout), ("stderr", found.stderr)):
        _heading(f"{label}, {len(data)} bytes" if data else f"{label}: nothing")
        _show(data)
        if data and not data.endswith(b"\n"):
            console.print_line("")


def _heading(text: str) -> None:
    if not sys.stdout.isatty():
        console.print_line(f"--- {text} ---")
        return
    from rich.console import Console  # noqa: PLC0415 - imported only for a terminal
    from rich.rule import Rule  # noqa: PLC0415

    console.flush()
    Console(file=sys.stdout, markup=False, highlight=False).print(Rule(text, align="left"))


def _show(data: bytes) -> None:
    """Write bytes unchanged; to a terminal, with control characters escaped."""
    console.flush()
    out = console.Stdout()
    encoding = sys.stdout.encoding
    out.write(_escaped(data).encode(encoding, "backslashreplace") if sys.stdout.isatty() else data)
    out.flush()


def _escaped(data: bytes) -> str:
    r"""Return bytes as text with control characters escaped.

    >>> _escaped(b"37.2\t\xc2\xb0C\r\n\x1b[2Jgone\xff\n")
    '37.2\t°C\n\\x1b[2Jgone\\xff\n'
    """
    lines = data.decode(errors="backslashreplace").replace("\r\n", "\n").split("\n")
    return "\n".join(line if line.isprintable() else "".join(map(_escaped_letter, line)) for line in lines)


def _escaped_letter(letter: str) -> str:
    # Tabs and spaces of other widths are harmless, and some languages need them.
    if letter == "\t" or letter.isprintable() or unicodedata.category(letter) == "Zs":
        return letter
    return ascii(letter)[1:-1]


def _ending(returncode: int) -> str:
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"ended by signal {-returncode}"
