from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ssh_server import SERVERS, SSHServer, running

from connectors_sftp.filesystem import SFTP

_names = itertools.count()


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SSHServer]:
    """A server for the whole session: asyncssh's, and OpenSSH's if this machine has it."""
    with running(tmp_path_factory.mktemp(request.param), request.param) as server:
        yield server


@pytest.fixture
def serve() -> Callable[..., Any]:
    """A context manager that runs another server."""
    return running


@pytest.fixture
def own(tmp_path: Path) -> Iterator[SSHServer]:
    """A test's own server, which the test may disconnect and make faulty."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture
def fs(server: SSHServer) -> SFTP:
    return server.filesystem()


@pytest.fixture
def path(server: SSHServer) -> str:
    """The path of a file that no other test uses, in its own folder."""
    folder = server.root / f"folder-{next(_names)}"
    folder.mkdir()
    return f"{folder}/object"
