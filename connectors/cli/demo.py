"""`connectors demo`: the whole story on this machine, from a table of patients to a sealed result and back.

An object store starts in this process (moto's S3 server), and then every step is the command a person would type, run
as they would run it, with real presigned URLs.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import logging
import os
import random
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

__all__ = ["register"]

BUCKET = "clinic"
PATIENTS = 1200
NEEDED = ("moto", "flask", "flask_cors", "pandas", "connectors_https", "connectors_s3")

CONDITIONS = {
    "Viral sinusitis (disorder)": 30,
    "Acute viral pharyngitis (disorder)": 17,
    "Acute bronchitis (disorder)": 14,
    "Normal pregnancy": 12,
    "Body mass index 30+ - obesity (finding)": 11,
    "Prediabetes": 9,
    "Hypertension": 8,
    "Anemia (disorder)": 8,
    "Chronic sinusitis (disorder)": 6,
    "Sprain of ankle": 4,
}

APPLICATION = """\
import sys
import pandas as pd

for path in sys.argv[1:]:
    print(pd.read_csv(path)["DESCRIPTION"].describe())
"""


def register(app: typer.Typer) -> None:
    """Add the verb to the command."""
    app.command("demo")(demo)


def demo() -> None:
    """Seal patient data, run an application on it and open its sealed result, all on this machine."""
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        message = 'the demo needs a store and plugins; install them with: pip install "enclave-connectors[demo]"'
        raise ConfigError(message)
    from rich.console import Console  # noqa: PLC0415 - every verb would wait for it

    # The plain table and the keys are somebody's on a real system: the folder is private, and goes away.
    with tempfile.TemporaryDirectory(prefix="connectors-demo-") as folder, _object_store() as endpoint:
        _Story(Console(highlight=False), folder, endpoint).tell()


@contextmanager
def _object_store() -> Iterator[str]:
    """Run an S3 server in this process, on loopback; yield its URL."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - only the demo needs it

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@dataclass
class _Story:
    """The steps, each told and done."""

    console: Console
    folder: str
    endpoint: str

    def tell(self) -> None:
        self.say("An object store that nobody has to trust", f"moto's S3 server, at {self.endpoint}")
        self.prepare()

        self.say("The data owner makes a key, and seals the table of conditions")
        self.run("keygen", "clinic.hex")
        self.run("encrypt", "-K", "clinic.hex", "-in", "conditions.csv", "-out", "conditions.csv.sealed")

        self.say("… uploads the sealed file, and presigns a URL to download it")
        self.run("cp", "conditions.csv.sealed", "dataset://bucket/conditions", "--app-config", "owner")
        self.presign("GET", "conditions.csv.sealed", "clinic.hex", "input.json")
        self.run("dataset", "check", "input.json", "--location", self.location("conditions.csv.sealed"))

        self.say("The result's owner makes a key too, and presigns a URL to upload to")
        self.run("keygen", "lab.hex")
        self.presign("PUT", "result.sealed", "lab.hex", "output.json")

        self.say("The platform lays down the app config folder in the enclave")
        self.new("input", "conditions", "conditions.csv.sealed", "input.json")
        self.new("output", "result", "result.sealed", "output.json")

        self.say("The application runs: it sees a plain file, and the world sees its sealed result")
        self.run("run", "--app-config", "app-config", "--", "python", "describe.py")

        self.say("The result's owner downloads it, opens it and looks")
        self.run("cp", "dataset://bucket/result", "result.sealed", "--app-config", "owner")
        self.run("decrypt", "-K", "lab.hex", "-in", "result.sealed", "-out", "result.json")
        printed = self.run("result", "result.json", "--stdout", quiet=True)
        self.show(printed)

    def say(self, title: str, detail: str = "") -> None:
        self.console.print(f"\n[bold cyan]{title}[/]" + (f"\n[dim]{detail}[/]" if detail else ""))

    def location(self, name: str) -> str:
        return f"{self.endpoint}/{BUCKET}/{name}"

    def prepare(self) -> None:
        """Make the bucket, the table, the application, and the data owner's own access to the bucket."""
        from botocore.session import Session  # noqa: PLC0415

        access, secret = "demo", os.urandom(8).hex()
        client = Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )
        client.create_bucket(Bucket=BUCKET)
        account = {
            "type": "s3",
            "access_key_id": access,
            "secret_access_key": secret,
            "region": "us-east-1",
            "endpoint_url": self.endpoint,
            "encryption": None,  # the files are sealed before they are uploaded
        }
        self.write("owner.json", json.dumps(account))
        self.write("describe.py", APPLICATION)
        rows = _conditions()
        with open(self.path("conditions.csv"), "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("START", "STOP", "PATIENT", "DESCRIPTION"))
            writer.writerows(rows)
        self.say("A table of conditions, of patients that do not exist", f"conditions.csv, {len(rows):,} rows")
        for name, key in (("conditions", "conditions.csv.sealed"), ("result", "result.sealed")):
            options = ("--location", f"s3://{BUCKET}/{key}", "--credentials", "owner.json")
            self.quietly("dataset", "new", "owner", "bucket", name, *options)

    def presign(self, method: str, key: str, secret: str, out: str) -> None:
        options = ("--method", method, "--expires", "3600", "--credentials", "owner.json")
        self.run("presign", f"s3://{BUCKET}/{key}", *options, "-K", secret, "--out", out)

    def new(self, port: str, name: str, key: str, credentials: str) -> None:
        location = self.location(key)
        self.run("dataset", "new", "app-config", port, name, "--location", location, "--credentials", credentials)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> None:
        with open(self.path(name), "w") as file:
            file.write(text)

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """Show a command and what it prints; return that."""
        self.console.print(f"[green]$[/] connectors {shlex.join(arguments)}", soft_wrap=True, markup=True)
        printed = self.quietly(*arguments)
        if printed and not quiet:
            self.console.print(printed.rstrip(), style="dim", markup=False, soft_wrap=True)
        return printed

    def quietly(self, *arguments: str) -> str:
        environment = os.environ | {"PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")}
        command = [sys.executable, "-m", "connectors", *arguments]
        done = subprocess.run(  # noqa: S603 - our own command
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            self.console.print(done.stderr, style="red", markup=False)
            raise typer.Exit(done.returncode)
        return done.stdout

    def show(self, printed: str) -> None:
        """Show the application's answer as a table, and what the storage saw of it all."""
        from rich.table import Table  # noqa: PLC0415 - every verb would wait for it

        answer = Table(title="Conditions, as the lab sees them", title_justify="left", show_header=False)
        answer.add_column(style="bold")
        answer.add_column(justify="right")
        for line in printed.splitlines():
            name, _, value = line.partition(" ")
            if name in ("count", "unique", "top", "freq"):
                answer.add_row(name, value.strip())
        self.console.print(answer)
        seen = Table(title="All that the storage saw", title_justify="left", show_header=False)
        for name in ("conditions.csv.sealed", "result.sealed"):
            with open(self.path(name), "rb") as file:
                head = file.read(24).hex(" ")
            seen.add_row(name, f"{os.path.getsize(self.path(name)):,} bytes", f"{head} …")
        self.console.print(seen)


def _conditions() -> list[tuple[str, str, str, str]]:
    """Return made-up conditions: the same at every run."""
    chance = random.Random(2020)  # noqa: S311 - no secret depends on it
    names, weights = list(CONDITIONS), list(CONDITIONS.values())
    rows = []
    for patient in range(PATIENTS):
        for name in chance.choices(names, weights, k=chance.randint(1, 12)):
            day = f"{chance.randint(1990, 2020)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            rows.append((day, "", f"patient-{patient:05}", name))
    return rows
