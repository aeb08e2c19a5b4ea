"""Fixtures for every test of the repository, those of the plugins among them."""

from __future__ import annotations

import functools
import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import attacks
import pytest
import servers

# For the fuzzing targets; last, so that where wheels are installed it is those that are tested.
sys.path.append(str(attacks.ROOT))

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

SHARED_DATA = "CONNECTORS_SHARED_DATA"
"""The environment variable that names the folder of public datasets and test vectors."""


def pytest_configure() -> None:
    """Let signals end what the tests start: `nohup`, and a shell's `&`, have them ignored from here on down."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3Server]:
    """A real S3 store with a bucket called ``clinic``, one for the whole session."""
    with servers.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        server.client().create_bucket(Bucket="clinic")
        yield server


@pytest.fixture(scope="session")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.AzureServer]:
    """A real Azure Blob emulator, one for the whole session; skipped where it is not installed."""
    with ExitStack() as running:
        try:
            server = running.enter_context(servers.azurite(tmp_path_factory.mktemp("azurite")))
        except servers.ServerUnavailable as reason:
            pytest.skip(str(reason))
        yield server


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public datasets and test vectors; skipped where there is none."""
    default = Path(__file__).resolve().parent.parent / "shared" / "data"
    folder = Path(os.environ.get(SHARED_DATA, default))
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}; name one in {SHARED_DATA}")
    return folder


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[attacks.Tally]]:
    """Counter of an attack's cases, for docs/attacks.md, to be called with the attack and what it is tried against."""
    node = request.node
    names = [node.cls.__name__] if node.cls else []
    test = "::".join([str(node.path.relative_to(attacks.ROOT)), *names, node.originalname])
    return functools.partial(attacks.tally, test=test)
