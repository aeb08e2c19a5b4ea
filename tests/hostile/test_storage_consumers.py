"""The storage lies to other libraries: about sizes, listings and what exists. None of them gets fewer rows silently."""

from __future__ import annotations

from contextlib import contextmanager

import gcs_server
import pytest
import ssh_server
from lying import LIES, NO_LIE
from matrix import Matrix
from routes import azure_routes

from connectors.storage.local import FileBackend
from connectors_azure import AzureBackend
from connectors_gcs import GcsBackend
from connectors_s3 import S3Backend
from connectors_sftp import SFTPBackend

pytestmark = pytest.mark.timeout(600)


@contextmanager
def local(request, root):
    (root / "stored").mkdir()
    yield FileBackend, f"file://{root}/stored/", {}


@contextmanager
def s3(request, root):
    server = request.getfixturevalue("s3")
    keys = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    yield S3Backend, "s3://clinic/consumers/", {**keys, "endpoint_url": server.endpoint}


@contextmanager
def azure(request, root):
    server = request.getfixturevalue("azure")
    azure_routes(server, None)  # makes the container
    document = {"account_name": server.account, "account_key": server.key, "endpoint_url": server.endpoint}
    yield AzureBackend, "az://clinic/consumers/", document


@contextmanager
def gcs(request, root):
    with gcs_server.emulating(root / "log") as emulator:
        document = {"token": "ya29.any", "endpoint_url": emulator.url}
        yield GcsBackend, f"gs://{gcs_server.BUCKET}/consumers/", document


@contextmanager
def sftp(request, root):
    (root / "stored").mkdir()
    with ssh_server.running(root) as server:
        document = {name: value for name, value in server.document().items() if name != "encryption"}
        yield SFTPBackend, f"sftp://127.0.0.1:{server.port}{root}/stored/", document


STORAGES = {"local": local, "S3": s3, "Azure": azure, "GCS": gcs, "SFTP": sftp}


@pytest.fixture(
    scope="session",
    params=[name if name == "local" else pytest.param(name, marks=pytest.mark.slow) for name in STORAGES],
)
def matrix(request, tmp_path_factory):
    """The datasets of one storage."""
    root = tmp_path_factory.mktemp("consumers")
    with STORAGES[request.param](request, root) as (backend, prefix, document):
        made = Matrix(lambda name: (prefix + name, document), backend, root)
        made.name = request.param
        yield made


@pytest.mark.parametrize("lie", [NO_LIE, *LIES], ids=lambda lie: lie.name)
def test_consumers_get_the_right_rows_or_an_error(matrix, lie, tally, tmp_path, monkeypatch):
    with tally(f"{lie.name}, to every consumer", f"every kind of dataset, {matrix.name}") as cases:
        wrong = matrix.run(lie, cases, tmp_path, monkeypatch)
        assert wrong == []
