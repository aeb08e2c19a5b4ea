"""Plain clients of object stores, each used as its documentation recommends for large objects.

Each function connects a client, and returns the function to time. Where the caller chooses how many ranges are fetched
at once, there are `PARALLEL` of them, of `RANGE` bytes.
"""

from __future__ import annotations

import io
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from benchmarks.bench import NotRun
from benchmarks.places import fast_folder
from benchmarks.plain import STEP, Taker, from_file
from benchmarks.scale import MIB
from benchmarks.stores import BUCKET, steps

if TYPE_CHECKING:
    from pathlib import Path

    import servers

    from benchmarks.bench import Run, Take

PARALLEL = 16
"""Ranges that a client fetches at once: of 4 to 24, the fastest for obstore, on loopback and over the link together."""
RANGE = 8 * MIB
"""Bytes of a range that such a client fetches in one request, as Amazon recommends: 8 or 16 MiB."""


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
        client_options={"allow_http": True, "timeout": "10m"},
    )


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
            for piece in steps(data):
                file.write(piece)

    return run


def boto3_reading(server: servers.S3Server, key: str) -> Run:
    def run(take: Take) -> None:
        body = server.client().get_object(Bucket=BUCKET, Key=key)["Body"]
        for data in body.iter_chunks(MIB):
            take(data)

    return run


def boto3_transfer_reading(server: servers.S3Server, key: str) -> Run:
    """Return a run of boto3's managed transfer: ten threads fetch ranges of 8 MiB, which it passes on in order."""
    return lambda take: server.client().download_fileobj(BUCKET, key, Taker(take))


def boto3_writing(server: servers.S3Server, key: str, data: bytes) -> Run:
    return lambda _: server.client().upload_fileobj(io.BytesIO(data), BUCKET, key)


def crt_reading(server: servers.S3Server, key: str) -> Run:
    """Return a run of s3transfer with the AWS Common Runtime, which chooses ranges and connections itself.

    Raises:
        NotRun: it is not installed, or the store listens on another port than the default one: awscrt passes no
            endpoint on to its S3 client, which takes only the name from the header Host.
    """
    try:
        from s3transfer import crt  # noqa: PLC0415 - imports awscrt, which may not be installed
    except ImportError as error:
        message = f"{error.name} is not installed; install boto3 with its extra crt"
        raise NotRun(message) from None
    from botocore.credentials import Credentials  # noqa: PLC0415
    from botocore.session import Session  # noqa: PLC0415

    endpoint = urlsplit(server.endpoint)
    if endpoint.port not in {None, 443 if endpoint.scheme == "https" else 80}:
        message = f"awscrt connects only to the default port, and the store listens on port {endpoint.port}"
        raise NotRun(message)
    keys = crt.BotocoreCRTCredentialsWrapper(Credentials(server.access_key, server.secret_key))
    provider = keys.to_crt_credentials_provider()
    client = crt.create_s3_crt_client(server.region, provider, use_ssl=endpoint.scheme == "https")
    options = {"endpoint_url": server.endpoint, "region_name": server.region}
    manager = crt.CRTTransferManager(client, crt.BotocoreCRTRequestSerializer(Session(), options))
    return lambda take: manager.download(BUCKET, key, Taker(take)).result()


def obstore_reading(server: servers.S3Server, key: str) -> Run:
    store = obstore_store(server)

    def run(take: Take) -> None:
        for data in store.get(key).stream(min_chunk_size=MIB):
            take(data)

    return run


def obstore_range_reading(server: servers.S3Server, key: str) -> Run:
    """Return a run of concurrent requests for ranges in threads, of which `PARALLEL` ranges are in memory."""
    store = obstore_store(server)

    def run(take: Take) -> None:
        size = store.head(key)["size"]
        with ThreadPoolExecutor(PARALLEL) as pool:
            running: deque[Any] = deque()
            for start in range(0, size, RANGE):
                if len(running) == PARALLEL:
                    take(running.popleft().result())
                running.append(pool.submit(store.get_range, key, start=start, end=min(start + RANGE, size)))
            for future in running:
                take(future.result())

    return run


def obstore_writing(server: servers.S3Server, key: str, data: bytes) -> Run:
    store = obstore_store(server)
    return lambda _: store.put(key, data)


def azure_reading(server: servers.AzureServer, key: str) -> Run:
    """Return a run of azure-storage-blob that streams chunk by chunk."""
    blob = _azure_blob(server, key)

    def run(take: Take) -> None:
        for data in blob.download_blob().chunks():
            take(data)

    return run


def azure_parallel_reading(server: servers.AzureServer, key: str) -> Run:
    """Return a run of azure-storage-blob that fetches chunks in parallel, which it does only into a seekable file."""
    blob = _azure_blob(server, key, max_single_get_size=RANGE, max_chunk_get_size=RANGE)

    def run(take: Take) -> None:
        whole = io.BytesIO()
        blob.download_blob(max_concurrency=PARALLEL).readinto(whole)
        take(whole.getbuffer())

    return run


def azure_upload(server: servers.AzureServer, key: str, path: Path) -> None:
    with path.open("rb") as file:
        _azure_blob(server, key).upload_blob(file)


def _azure_blob(server: servers.AzureServer, key: str, **options: int) -> Any:
    from azure.storage.blob import BlobClient  # noqa: PLC0415 - a peer may not be installed

    account = {"account_name": server.account, "account_key": server.key}
    return BlobClient(server.endpoint, BUCKET, key, credential=account, **options)


def gcs_reading(url: str, key: str) -> Run:
    """Return a run of google-cloud-storage that streams in one request."""
    blob = _gcs_blob(url, key)
    return lambda take: blob.download_to_file(Taker(take))


def gcs_parallel_reading(url: str, key: str) -> Run:
    """Return a run of google-cloud-storage's transfer manager, which writes a file; it is read again."""
    from google.cloud.storage import transfer_manager  # noqa: PLC0415 - a peer may not be installed

    blob = _gcs_blob(url, key)

    def run(take: Take) -> None:
        options = {"chunk_size": RANGE, "max_workers": PARALLEL, "worker_type": transfer_manager.THREAD}
        with fast_folder(0) as folder:
            transfer_manager.download_chunks_concurrently(blob, str(folder / "object"), **options)
            from_file(folder / "object")(take)

    return run


def _gcs_blob(url: str, key: str) -> Any:
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud.storage import Client  # noqa: PLC0415

    client = Client("clinic", AnonymousCredentials(), client_options={"api_endpoint": url})
    return client.bucket(BUCKET).blob(key)


def requests_reading(url: str) -> Run:
    import requests  # noqa: PLC0415 - a peer may not be installed

    session = requests.Session()

    def run(take: Take) -> None:
        with session.get(url, stream=True, timeout=60) as response:
            response.raise_for_status()
            for data in response.iter_content(MIB):
                take(data)

    return run
