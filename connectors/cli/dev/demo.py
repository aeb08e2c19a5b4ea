"""``connectors demo``: all steps on this machine, from a table of patients to a sealed result and back.

An object store starts in this process (moto's S3 server). Each step then runs the command that a person would type,
with real presigned URLs.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from connectors.cli.common.options import example
from connectors.cli.dev.demo_stage import APPLICATION, Stage, object_store
from connectors.cli.dev.demo_workflow import play_workflow
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
        bool, typer.Option("--workflow", help="Have three parties approve a workflow before it runs.")
    ] = False,
    keep: Annotated[
        str | None, typer.Option("--keep", metavar="DIR", help="Keep the demo's files in this folder.")
    ] = None,
) -> None:
    """Encrypt patient data, run an application on it and decrypt the result, all on this machine."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        message = 'the demo needs a store and plugins; install them with: pip install "enclave-connectors[demo]"'
        raise ConfigError(message)

    with ExitStack() as stack:
        # On a real system, the plain table and the keys are secrets: the folder is private, and is removed.
        folder = _kept(keep) if keep else stack.enter_context(tempfile.TemporaryDirectory(prefix="connectors-demo-"))
        stage = Stage(Console(highlight=False), folder, stack.enter_context(object_store()))
        stage.announce("An untrusted object store", f"moto's S3 server, at {stage.endpoint}")
        (play_workflow if workflow else _play)(stage)
        if keep:
            stage.announce(f"All files are in {keep}", "they include keys and plain data: remove the folder after use")


def _kept(folder: str) -> str:
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        there: Iterable[str] = os.listdir(folder)
    except OSError as error:
        message = f"{folder} cannot be used as the demo's folder: {error.strerror}"
    else:
        if not there:
            return os.path.abspath(folder)
        message = f"{folder} is not empty; name an empty folder, or a new one"
    raise ConfigError(message)


def _play(stage: Stage) -> None:
    """Go from a sealed table to a sealed result."""
    workspace = stage.workspace()
    workspace.rent_bucket(BUCKET)
    workspace.write("describe.py", APPLICATION)
    rows = workspace.write_conditions("conditions.csv")
    stage.announce("A table of conditions of invented patients", f"conditions.csv, {rows:,} rows")
    workspace.own_object("conditions", BUCKET, "conditions.csv.sealed")
    workspace.own_object("result", BUCKET, "result.sealed")

    stage.announce("The data owner makes a key and encrypts the table of conditions")
    workspace.run("keygen", "clinic.hex")
    workspace.run("encrypt", "-K", "clinic.hex", "-in", "conditions.csv", "-out", "conditions.csv.sealed")

    stage.announce("… uploads the sealed file, and presigns a URL to download it")
    workspace.run("cp", "conditions.csv.sealed", "dataset://bucket/conditions", "--app-config", "owner")
    source = workspace.presign("GET", BUCKET, "conditions.csv.sealed", "clinic.hex", "input.json")
    workspace.run("dataset", "check", "input.json", "--location", source)

    stage.announce("The result's owner also makes a key, and presigns a URL to upload the result")
    workspace.run("keygen", "lab.hex")
    target = workspace.presign("PUT", BUCKET, "result.sealed", "lab.hex", "output.json")

    stage.announce("The platform writes the app config folder in the enclave")
    for port, name, location, credentials in (
        ("input", "conditions", source, "input.json"),
        ("output", "result", target, "output.json"),
    ):
        workspace.run("dataset", "new", "app-config", port, name, "--location", location, "--credentials", credentials)

    stage.announce("The application runs: it reads a plain file, and only its sealed result leaves the enclave")
    workspace.run("run", "--app-config", "app-config", "--", "python", "describe.py")

    stage.announce("The result's owner downloads and decrypts the result")
    workspace.run("cp", "dataset://bucket/result", "result.sealed", "--app-config", "owner")
    workspace.run("decrypt", "-K", "lab.hex", "-in", "result.sealed", "-out", "result.json")
    printed = workspace.run("result", "result.json", "--stdout", quiet=True)
    workspace.show_answer(printed, [workspace.path("conditions.csv.sealed"), workspace.path("result.sealed")])
