"""Fixtures for every test of the repository, those of the plugins among them."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import attacks
import pytest
import servers
from leaks import pytest_runtest_teardown

# For the fuzzing targets; last, so that where wheels are installed it is those that are tested.
sys.path.append(str(attacks.ROOT))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = ["pytest_runtest_teardown"]

SHARED_DATA = "CONNECTORS_SHARED_DATA"
"""The environment variable that names the folder of public data that is not part of the repository."""

OUTSIDE = "synthea/conditions.csv"
"""The file in that folder that tests read."""


def pytest_configure() -> None:
    """Let signals end what the tests start: `nohup`, and a shell's `&`, have them ignored from here on down."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what did not run: a line for each reason, with the number of tests that it kept from running."""
    reasons = Counter(_reason(report) for report in terminalreporter.stats.get("skipped", []))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} not run: {reason}", yellow=True)


def _reason(report: pytest.TestReport) -> str:
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    """A real S3 store with a bucket called ``clinic``, one for the whole session."""
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        server.client().create_bucket(Bucket="clinic")
        yield server


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.AzureServer]:
    """A real Azure Blob emulator, one for the whole session; skipped only where npm is missing, which installs it."""
    with ExitStack() as running:
        try:
            server = running.enter_context(servers.azurite(tmp_path_factory.mktemp("azurite")))
        except servers.NpmMissing as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public data that is not part of the repository; skipped where none is named or beside it."""
    named = os.environ.get(SHARED_DATA)
    folder = Path(named) if named else Path(__file__).resolve().parent.parent / "shared" / "data"
    table = folder / OUTSIDE
    if table.is_file():
        return folder
    if named:
        pytest.fail(f"{SHARED_DATA} is set, but there is no file {table}")
    pytest.skip(
        f"Synthea's table of conditions is not in this repository: name a folder with {OUTSIDE} in {SHARED_DATA}"
    )


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[attacks.Tally]]:
    """Counter of an attack's cases, for docs/attacks.md, to be called with the attack and what it is tried against."""
    node = request.node
    names = [node.cls.__name__] if node.cls else []
    test = "::".join([str(node.path.relative_to(attacks.ROOT)), *names, node.originalname])
    return functools.partial(attacks.tally, test=test)
