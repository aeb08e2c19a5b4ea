"""``connectors run`` and ``connectors result``: a command on the inputs, and a look at what came of it."""

from __future__ import annotations

import signal
import sys
import unicodedata
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.io import readable
from connectors.cli.common.options import (
    AppConfigFolder,
    AsJson,
    Context,
    OptionalKeyFile,
    SegmentSize,
    example,
    sealing,
)
from connectors.cli.common.private_files import read_key

if TYPE_CHECKING:
    from connectors.runner import Result
    from connectors.streams.sources import BinaryFile

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add both verbs."""
    # The command's own options are not ours, with or without a -- in front of it.
    settings = {"allow_interspersed_args": False}
    app.command("run", context_settings=settings, epilog=example("run -- python3 describe.py"))(run)
    app.command("result", epilog=example("result -K lab.hex result.json.sealed"))(result)


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="The command and its arguments.")],
    *,
    app_config: AppConfigFolder = None,
    input_port: Annotated[
        str, typer.Option("--input-port", metavar="PORT", help="The port that the command reads.")
    ] = "input",
    output_port: Annotated[
        str, typer.Option("--output-port", metavar="PORT", help="The port that is written.")
    ] = "output",
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="NAME=PATH",
            help="Give dataset NAME a file of the command's; PATH lies in $CONNECTORS_OUTPUTS, unless it is absolute.",
        ),
    ] = None,
) -> None:
    """Run a command on the inputs, and publish its result.

    The command gets the paths of its inputs, plain, as last arguments. What it prints goes to each dataset of the
    output port, as JSON, and is shown as it comes. Its exit code is passed on. The plain files lie below $TMPDIR, in
    a private folder that is removed.
    """
    outputs = _outputs(output or [])
    from connectors import runner  # noqa: PLC0415 - loads fsspec
    from connectors.app.config import load  # noqa: PLC0415

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
        # The one error whose exit code is the shells', so that `connectors run` can stand in front of any command.
        console.error(str(error))
        raise typer.Exit(error.exit_code) from None
    if done.unpublished:
        failure = f"the command failed ({_ending(done.returncode)})"
        console.error(f"{failure}, so these datasets stand as they did: {', '.join(done.unpublished)}", kind="warning")
    if done.published:
        console.note(f"Wrote {', '.join(done.published)}.")
    raise typer.Exit(done.exit_code)


def _outputs(options: list[str]) -> dict[str, str]:
    outputs: dict[str, str] = {}
    for option in options:
        name, separator, path = option.partition("=")
        if not name or not separator or not path:
            message = f"--output takes NAME=PATH, a dataset of the output port and a file, not {option!r}"
            raise UsageMistake(message)
        if name in outputs:
            message = f"--output names {name!r} twice"
            raise UsageMistake(message)
        outputs[name] = path
    return outputs


def _unbuffered(stream: TextIO | None) -> BinaryFile | None:
    """Return what is below a text stream's buffers, so that nothing in them is left over if its reader leaves."""
    if stream is None:
        return None
    stream.flush()
    file: BinaryFile = getattr(stream.buffer, "raw", stream.buffer)
    return file


def result(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The result; - for stdin.")],
    *,
    stdout: Annotated[bool, typer.Option("--stdout", help="Print only what the command printed.")] = False,
    stderr: Annotated[bool, typer.Option("--stderr", help="Print only what it printed to standard error.")] = False,
    as_json: AsJson = False,
    key_file: OptionalKeyFile = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="auto, cobblestone-256, tink-gcm-hkdf or gcm.")
    ] = "auto",
    context: Context = None,
    segment_size: SegmentSize = None,
) -> None:
    """Show the result of a command: its exit code, and what it printed.

    With -K the file is opened first, if it is still sealed. A terminal is shown control characters as escapes; a file
    or a pipe gets the bytes as they are.
    """
    if stdout + stderr + as_json > 1:
        message = "--stdout, --stderr and --json each stand alone"
        raise UsageMistake(message)
    if key_file is None and (format_ != "auto" or context is not None or segment_size is not None):
        message = "--format, --context and --segment-size go with a key: -K FILE"
        raise UsageMistake(message)
    if file == key_file == "-":
        message = "the key and the result cannot both come from standard input"
        raise UsageMistake(message)
    found = _read(file, key_file, format_, context, segment_size)
    if as_json:
        console.say(found.to_json())
    elif stdout or stderr:
        _show(found.stdout if stdout else found.stderr)
    else:
        _report(found)


def _read(file: str, key_file: str | None, format_: str, context: str | None, segment_size: int | None) -> Result:
    from connectors.runner import read_result  # noqa: PLC0415 - loads fsspec
    from connectors.streams import open_reader  # noqa: PLC0415 - loads the ciphers

    with readable(file) as source:
        if key_file is None:
            return read_result(source)
        name, bound_to, size = sealing(format_, context, segment_size)
        with open_reader(source, read_key(key_file), format=name, context=bound_to, segment_size=size) as plain:
            return read_result(plain)


def _report(found: Result) -> None:
    """Write the exit code, and under a heading each what the command printed."""
    console.say(_ending(found.returncode))
    for label, data in (("stdout", found.stdout), ("stderr", found.stderr)):
        _heading(f"{label}, {len(data)} bytes" if data else f"{label}: nothing")
        _show(data)
        if data and not data.endswith(b"\n"):
            console.say("")


def _heading(text: str) -> None:
    if not sys.stdout.isatty():
        console.say(f"--- {text} ---")
        return
    from rich.console import Console  # noqa: PLC0415 - only a person at a terminal waits for it
    from rich.rule import Rule  # noqa: PLC0415

    console.flush()
    Console(file=sys.stdout, markup=False, highlight=False).print(Rule(text, align="left"))


def _show(data: bytes) -> None:
    """Write bytes as they are; to a terminal, which would obey them, as text that it only shows."""
    console.flush()
    out = console.Stdout()
    encoding = sys.stdout.encoding
    out.write(_harmless(data).encode(encoding, "backslashreplace") if sys.stdout.isatty() else data)
    out.flush()


def _harmless(data: bytes) -> str:
    r"""Return bytes as text in which a terminal finds nothing to obey.

    >>> _harmless(b"37.2\t\xc2\xb0C\r\n\x1b[2Jgone\xff\n")
    '37.2\t°C\n\\x1b[2Jgone\\xff\n'
    """
    lines = data.decode(errors="backslashreplace").replace("\r\n", "\n").split("\n")
    return "\n".join(line if line.isprintable() else "".join(map(_shown, line)) for line in lines)


def _shown(letter: str) -> str:
    # Spaces of other widths do no harm, and languages need them; nor do tabs.
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
