"""What the demos share: an object store on this machine, a folder for each person, and the commands they type."""

from __future__ import annotations

import csv
import json
import logging
import os
import random
import re
import shlex
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console

__all__ = ["APPLICATION", "Stage", "Workspace", "object_store"]

PATIENTS = 1200
DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")

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


@contextmanager
def object_store() -> Iterator[str]:
    """Run an S3 server in this process, on loopback; yield its URL."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - the extra `demo`

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@dataclass(frozen=True)
class Stage:
    """The setting of a demo.

    Attributes:
        console: where the demo is shown.
        folder: where the people's folders are.
        endpoint: the object store's URL.
    """

    console: Console
    folder: str
    endpoint: str

    def announce(self, title: str, detail: str = "") -> None:
        """Show the title of the next step."""
        self.console.print(f"\n[bold cyan]{title}[/]" + (f"\n[dim]{detail}[/]" if detail else ""))

    def workspace(self, name: str = "") -> Workspace:
        """Return a person's workspace: the folder of that name, or without a name the demo's own folder."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder, exist_ok=True)
        return Workspace(self, name, folder)


@dataclass(frozen=True)
class Workspace:
    """One person's folder, and the commands that they type there."""

    stage: Stage
    name: str
    folder: str

    def run(self, *arguments: str, quiet: bool = False) -> str:
        """Show a command and its output; return the output."""
        self._prompt(arguments)
        printed = self.quietly(*arguments)
        if printed and not quiet:
            self._say(printed, "dim")
        return printed

    def is_refused(self, *arguments: str) -> None:
        """Show a command that must fail, and its error.

        Raises:
            Exit: it succeeds.
        """
        self._prompt(arguments)
        done = self._call(arguments)
        self._say(done.stderr or done.stdout, "yellow")
        if not done.returncode:
            raise typer.Exit(1)

    def quietly(self, *arguments: str) -> str:
        """Run a command and return its output.

        Raises:
            Exit: it fails, which is shown.
        """
        done = self._call(arguments)
        if done.returncode:
            self._say(done.stderr, "red")
            raise typer.Exit(done.returncode)
        return done.stdout

    def _prompt(self, arguments: Iterable[str]) -> None:
        self.stage.console.print(f"{self.name}$", style="green", end=" ")
        # For people, the first digits of a digest are enough.
        typed = DIGEST.sub(r"\1…", shlex.join(arguments))
        self.stage.console.print(f"connectors {typed}", soft_wrap=True, markup=False)

    def _say(self, text: str, style: str) -> None:
        self.stage.console.print(text.rstrip(), style=style, markup=False, soft_wrap=True)

    def _call(self, arguments: Iterable[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PATH": os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""),
            "CONNECTORS_STORE": "store",
            "CONNECTORS_IDENTITIES": "identities",
        }
        command = [sys.executable, "-m", "connectors", *arguments]
        return subprocess.run(  # noqa: S603 - our own command
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False
        )

    def path(self, name: str) -> str:
        """Return a file's path."""
        return os.path.join(self.folder, name)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        with open(self.path(name), "w") as file:
            file.write(text)

    def write_conditions(self, name: str) -> int:
        """Write a table of invented conditions, the same in every run; return the number of rows."""
        rows = _conditions()
        with open(self.path(name), "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("START", "STOP", "PATIENT", "DESCRIPTION"))
            writer.writerows(rows)
        return len(rows)

    def rent_bucket(self, bucket: str) -> None:
        """Make a bucket, and ``owner.json``: its owner's credentials document."""
        from botocore.session import Session  # noqa: PLC0415 - the extra `demo`

        access, secret = bucket, os.urandom(8).hex()
        client = Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.stage.endpoint,
            aws_access_key_id=access,
            aws_secret_access_key=secret,
        )
        client.create_bucket(Bucket=bucket)
        account = {
            "type": "s3",
            "access_key_id": access,
            "secret_access_key": secret,
            "region": "us-east-1",
            "endpoint_url": self.stage.endpoint,
            "encryption": None,  # the files are encrypted before the upload
        }
        self.write("owner.json", json.dumps(account))

    def own_object(self, name: str, bucket: str, key: str) -> None:
        """Add an object of a bucket to its owner's app config, as ``dataset://bucket/NAME``."""
        options = ("--location", f"s3://{bucket}/{key}", "--credentials", "owner.json")
        self.quietly("dataset", "new", "owner", "bucket", name, *options)

    def presign(self, method: str, bucket: str, key: str, secret: str, out: str) -> str:
        """Presign a URL, as a credentials document; return the dataset's location."""
        options = ("--method", method, "--expires", "3600", "--credentials", "owner.json")
        self.run("presign", f"s3://{bucket}/{key}", *options, "-K", secret, "--out", out)
        return f"{self.stage.endpoint}/{bucket}/{key}"

    def show_answer(self, printed: str, sealed: Iterable[str]) -> None:
        """Show the application's answer as a table, and what the storage saw."""
        answer = Table(title="The application's answer", title_justify="left", show_header=False)
        answer.add_column(style="bold")
        answer.add_column(justify="right")
        for line in printed.splitlines():
            name, _, value = line.partition(" ")
            if name in ("count", "unique", "top", "freq"):
                answer.add_row(name, value.strip())
        self.stage.console.print()
        self.stage.console.print(answer)
        seen = Table(title="What the storage saw", title_justify="left", show_header=False)
        for path in sealed:
            with open(path, "rb") as file:
                head = file.read(10).hex(" ")
            seen.add_row(os.path.basename(path), f"{os.path.getsize(path):,} bytes", f"{head} …")
        self.stage.console.print(seen)


def _conditions() -> list[tuple[str, str, str, str]]:
    chance = random.Random(2020)  # noqa: S311 - no secret depends on it
    names, weights = list(CONDITIONS), list(CONDITIONS.values())
    rows = []
    for patient in range(PATIENTS):
        for name in chance.choices(names, weights, k=chance.randint(1, 12)):
            day = f"{chance.randint(1990, 2020)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
            rows.append((day, "", f"patient-{patient:05}", name))
    return rows
