"""`connectors demo`: the whole story on this machine, from a table of patients to a sealed result and back.

An object store starts in this process (moto's S3 server), and then every step is the command a person would type, run
as they would run it, with real presigned URLs.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from connectors.cli.common.options import example
from connectors.cli.dev.demo_stage import APPLICATION, Stage, object_store
from connectors.cli.dev.demo_workflow import tell_workflow
from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["register"]

BUCKET = "clinic"
NEEDED = ("moto", "flask", "flask_cors", "pandas", "connectors_https", "connectors_s3", "rfc8785", "securesystemslib")


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("demo", epilog=example("demo --workflow --keep look"))(demo)


def demo(
    *,
    workflow: Annotated[
        bool, typer.Option("--workflow", help="Three parties, who all approve before anything runs.")
    ] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="DIR", help="Leave all its files in this folder, to look at.")
    ] = None,
) -> None:
    """Seal patient data, run an application on it and open its sealed result, all on this machine."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        message = 'the demo needs a store and plugins; install them with: pip install "enclave-connectors[demo]"'
        raise ConfigError(message)
    from rich.console import Console  # noqa: PLC0415 - every verb would wait for it

    with ExitStack() as stack:
        # The plain table and the keys are somebody's on a real system: the folder is private, and goes away.
        folder = _kept(keep) if keep else stack.enter_context(tempfile.TemporaryDirectory(prefix="connectors-demo-"))
        stage = Stage(Console(highlight=False), folder, stack.enter_context(object_store()))
        stage.say("An object store that nobody has to trust", f"moto's S3 server, at {stage.endpoint}")
        (tell_workflow if workflow else _tell)(stage)
        if keep:
            stage.say(f"All files are in {keep}", "keys and plain data too: remove it when you have looked")


def _kept(folder: str) -> str:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        there: Iterable[str] = os.listdir(folder)
    except OSError as error:
        message = f"{folder} cannot be the demo's folder: {error.strerror}"
    else:
        if not there:
            return os.path.abspath(folder)
        message = f"{folder} has files in it already; name a folder that is empty, or not there yet"
    raise ConfigError(message)


def _tell(stage: Stage) -> None:
    """Tell how a sealed table becomes a sealed result."""
    workspace = stage.workspace()
    workspace.rent_bucket(BUCKET)
    workspace.write("describe.py", APPLICATION)
    rows = workspace.write_conditions("conditions.csv")
    stage.say("A table of conditions, of patients that do not exist", f"conditions.csv, {rows:,} rows")
    workspace.own_object("conditions", BUCKET, "conditions.csv.sealed")
    workspace.own_object("result", BUCKET, "result.sealed")

    stage.say("The data owner makes a key, and seals the table of conditions")
    workspace.run("keygen", "clinic.hex")
    workspace.run("encrypt", "-K", "clinic.hex", "-in", "conditions.csv", "-out", "conditions.csv.sealed")

    stage.say("… uploads the sealed file, and presigns a URL to download it")
    workspace.run("cp", "conditions.csv.sealed", "dataset://bucket/conditions", "--app-config", "owner")
    source = workspace.presign("GET", BUCKET, "conditions.csv.sealed", "clinic.hex", "input.json")
    workspace.run("dataset", "check", "input.json", "--location", source)

    stage.say("The result's owner makes a key too, and presigns a URL to upload to")
    workspace.run("keygen", "lab.hex")
    target = workspace.presign("PUT", BUCKET, "result.sealed", "lab.hex", "output.json")

    stage.say("The platform lays down the app config folder in the enclave")
    for port, name, location, credentials in (
        ("input", "conditions", source, "input.json"),
        ("output", "result", target, "output.json"),
    ):
        workspace.run("dataset", "new", "app-config", port, name, "--location", location, "--credentials", credentials)

    stage.say("The application runs: it sees a plain file, and the world sees its sealed result")
    workspace.run("run", "--app-config", "app-config", "--", "python", "describe.py")

    stage.say("The result's owner downloads it, opens it and looks")
    workspace.run("cp", "dataset://bucket/result", "result.sealed", "--app-config", "owner")
    workspace.run("decrypt", "-K", "lab.hex", "-in", "result.sealed", "-out", "result.json")
    printed = workspace.run("result", "result.json", "--stdout", quiet=True)
    workspace.show_answer(printed, [workspace.path("conditions.csv.sealed"), workspace.path("result.sealed")])
