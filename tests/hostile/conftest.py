"""What the tests of attacks and faults share: a proxy that lies in front of each of the real servers."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import proxies
import pytest
from servers import ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from servers import AzureServer, S3Server


@contextmanager
def _in_front_of(endpoint: str, factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    with ExitStack() as running:
        try:
            proxy = running.enter_context(proxies.proxy(factory.mktemp("proxy"), endpoint))
        except ServerUnavailable as reason:
            pytest.skip(str(reason))
        yield proxy


@pytest.fixture(scope="session")
def s3_proxy(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    """A proxy in front of the S3 server, one for the whole session."""
    with _in_front_of(s3.endpoint, tmp_path_factory) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def azure_proxy(azure: AzureServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[proxies.Proxy]:
    """A proxy in front of the Azure server, one for the whole session; its URL is that of no account yet."""
    with _in_front_of(azure.endpoint.rpartition("/")[0], tmp_path_factory) as proxy:
        yield proxy
