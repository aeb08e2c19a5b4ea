"""Shared fixtures of the tests of attacks and faults: a lying proxy in front of each real server."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import proxies
import pytest
import routes
from private import private_files  # noqa: F401 - a fixture of all tests here

from connectors.storage.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import AzureServer, S3Server

SLOW = pytest.param("Azure, SAS URL", marks=pytest.mark.slow)
"""A route that exercises the same code as another one, and so does not run every time."""


@contextmanager
def _in_front_of(endpoint: str, factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    with proxies.proxy(factory.mktemp("proxy"), endpoint) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def s3_proxy(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    """A proxy in front of the S3 server, for the whole session."""
    with _in_front_of(s3.endpoint, tmp_path_factory) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def azure_proxy(azure: AzureServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    """A proxy in front of the Azure server, for the whole session; its URL does not contain the account."""
    with _in_front_of(azure.endpoint.rpartition("/")[0], tmp_path_factory) as proxy:
        yield proxy


@pytest.fixture(scope="session", params=["S3", "S3, presigned URL", "Azure", SLOW])
def route(request: pytest.FixtureRequest) -> routes.Route:
    """Each route to sealed objects on real servers through a proxy."""
    return _route(request)


@pytest.fixture(scope="session", params=["S3", "Azure"])
def folders(request: pytest.FixtureRequest) -> routes.Route:
    """Each route that supports folders."""
    return _route(request)


def _route(request: pytest.FixtureRequest) -> routes.Route:
    kind = "s3" if request.param.startswith("S3") else "azure"
    make = {"s3": routes.s3_routes, "azure": routes.azure_routes}[kind]
    ways = make(request.getfixturevalue(kind), request.getfixturevalue(f"{kind}_proxy"))
    (one,) = (way for way in ways if way.name == request.param)
    return one


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without backoff."""
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)
    monkeypatch.setattr(RetryPolicy, "longest_pause", 0.01)
