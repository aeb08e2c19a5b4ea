"""The storage lies to other libraries: about sizes, listings and what exists. None of them gets fewer rows silently."""

from __future__ import annotations

import pytest
from lying import LIES, NO_LIE
from matrix import Matrix
from routes import azure_routes

from connectors.storage.local import FileBackend
from connectors_azure import AzureBackend
from connectors_s3 import S3Backend

pytestmark = pytest.mark.timeout(600)
BACKENDS = {"local": FileBackend, "S3": S3Backend, "Azure": AzureBackend}


@pytest.fixture(
    scope="session", params=["local", *(pytest.param(name, marks=pytest.mark.slow) for name in ("S3", "Azure"))]
)
def matrix(request, tmp_path_factory):
    """The datasets of one storage."""
    root = tmp_path_factory.mktemp("consumers")
    if request.param == "local":
        document = {}
        prefix = f"file://{root}/stored/"
        (root / "stored").mkdir()
    elif request.param == "S3":
        server = request.getfixturevalue("s3")
        document = {
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
            "endpoint_url": server.endpoint,
        }
        prefix = "s3://clinic/consumers/"
    else:
        server = request.getfixturevalue("azure")
        azure_routes(server, None)  # makes the container
        document = {"account_name": server.account, "account_key": server.key, "endpoint_url": server.endpoint}
        prefix = "az://clinic/consumers/"
    made = Matrix(lambda name: (prefix + name, document), BACKENDS[request.param], root)
    made.name = request.param
    return made


@pytest.mark.parametrize("lie", [NO_LIE, *LIES], ids=lambda lie: lie.name)
def test_consumers_get_the_right_rows_or_an_error(matrix, lie, tally, tmp_path, monkeypatch):
    with tally(f"{lie.name}, to every consumer", f"every kind of dataset, {matrix.name}") as cases:
        wrong = matrix.run(lie, cases, tmp_path, monkeypatch)
        assert wrong == []
