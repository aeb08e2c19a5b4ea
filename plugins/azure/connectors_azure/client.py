"""Sends requests to an account's blob service with the given credentials, and ignores the machine's configuration."""

from __future__ import annotations

import logging
import os
import random
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import BlobServiceClient, ExponentialRetry

from connectors_azure.error_mapping import Action, attempt
from connectors_azure.identity import Tokens, check_identity, open_identity
from connectors_azure.transport import open_transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.storage.blob import BlobClient, ContainerClient

    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["MAX_PUT_SIZE", "TOTAL_ATTEMPTS", "Client", "open_service"]

T = TypeVar("T")

TOTAL_ATTEMPTS = 5
"""How often a request is sent at most."""
FIRST_BACKOFF = 0.5
"""The longest first backoff in seconds; it doubles with each retry."""
MAX_PUT_SIZE = 5000 << 20
"""Bytes in the largest blob that one Put Blob can write: Azure Storage, "Scalability targets for Blob storage"."""


class Client:
    """Sends requests for one account. Safe in threads, and in a forked child, which opens its own connections.

    Args:
        account: the account.
        credentials: the account's credentials.

    Attributes:
        account: the account.

    Raises:
        ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
    """

    def __init__(self, account: Account, credentials: AzureCredentials) -> None:
        check_identity(credentials)
        self.account = account
        self._credentials = credentials
        self._expires_at = credentials.expires_at
        self._service: tuple[int, BlobServiceClient] | None = None
        self._lock = Lock()

    def service(self) -> BlobServiceClient:
        """Return the service's client; a forked child gets a new one, because the connections are its parent's."""
        with self._lock:
            if self._service is None or self._service[0] != os.getpid():
                self._service = os.getpid(), open_service(self.account, self._credentials)
            return self._service[1]

    def container(self, container: str) -> ContainerClient:
        """Return the client of a container."""
        return self.service().get_container_client(container)

    def blob(self, container: str, name: str) -> BlobClient:
        """Return the client of a blob."""
        return self.service().get_blob_client(container, name)

    def attempt(self, path: str, action: Action, call: Callable[[], T]) -> T:
        """Return the result of `call`; raise its errors as errors of `connectors`."""
        return attempt(path, action, call, self._expires_at)


class _RetryPolicy(ExponentialRetry):
    """Retries with exponential backoff and jitter, so that clients that failed together do not retry together."""

    def __init__(self) -> None:
        retries = TOTAL_ATTEMPTS - 1
        super().__init__(retry_total=retries, retry_connect=retries, retry_read=retries, retry_status=retries)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return how many seconds to wait before the next attempt."""
        longest: float = FIRST_BACKOFF * 2 ** (settings["count"] - 1)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def open_service(account: Account, credentials: AzureCredentials) -> BlobServiceClient:
    """Return a client of an account's blob service.

    Unless the credentials are ambient, it takes nothing from the environment: no proxies, and no ~/.netrc, whose
    password would replace the signature.

    Raises:
        ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
    """
    _withhold_signatures()
    return BlobServiceClient(
        account.endpoint,
        credential=_credential(account, credentials),
        transport=open_transport(use_environment=credentials.ambient),
        retry_policy=_RetryPolicy(),
        # A redirect would send the signature to another server.
        permit_redirects=False,
        user_agent_use_env=False,
        # Read a range in one request, and write a small object in one request.
        max_single_get_size=1 << 62,
        max_single_put_size=MAX_PUT_SIZE,
    )


def _credential(
    account: Account, credentials: AzureCredentials
) -> AzureNamedKeyCredential | AzureSasCredential | Tokens | None:
    if account.key is not None:
        return AzureNamedKeyCredential(account.name, account.key.reveal())
    if account.sas is not None:
        return AzureSasCredential(account.sas.reveal())
    return open_identity(account, credentials) if credentials.logs_in else None


class _Withhold(logging.Filter):
    """Drops records that contain a signed URL."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return "sig=" not in record.getMessage()


_WITHHELD = _Withhold()


def _only_requests(record: logging.LogRecord) -> bool:
    """Keep records of requests, which azure.core redacts, and drop those of responses, which may repeat a signature."""
    return record.getMessage().startswith("Request ")


def _withhold_signatures() -> None:
    """Keep signed URLs out of the logs: urllib3 logs the URL of each request at DEBUG, and at WARNING if it fails."""
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_WITHHELD)  # adding it again changes nothing
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").addFilter(_only_requests)
