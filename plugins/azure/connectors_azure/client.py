"""Requests to an account's blob service, with the credentials that are given and nothing of the machine around them."""

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
"""Seconds before the second attempt, at most; doubled before each further one."""
MAX_PUT_SIZE = 5000 << 20
"""Bytes of the largest blob that one Put Blob makes: Azure Storage, "Scalability targets for Blob storage"."""


class Client:
    """Requests of one account. Safe in threads, and in a forked child, which makes connections of its own.

    Args:
        account: where requests go.
        credentials: the way in.

    Attributes:
        account: where requests go, and what they are signed with.

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
        """Return the client of the service; in a forked child, whose connections would be its parent's, another one."""
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
        """Return what `call` does, and raise its failures as errors of ours."""
        return attempt(path, action, call, self._expires_at)


class _RetryPolicy(ExponentialRetry):
    """Repeats what is worth repeating; the pauses differ, so that clients that failed together come back apart."""

    def __init__(self) -> None:
        again = TOTAL_ATTEMPTS - 1
        super().__init__(retry_total=again, retry_connect=again, retry_read=again, retry_status=again)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return how many seconds to wait before the next attempt."""
        longest: float = FIRST_BACKOFF * 2 ** (settings["count"] - 1)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def open_service(account: Account, credentials: AzureCredentials) -> BlobServiceClient:
    """Return a client of an account's blob service.

    Unless the credentials are ambient, it takes nothing from the environment: no proxies, no ~/.netrc, whose password
    would take the place of the signature.

    Raises:
        ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
    """
    _withhold_signatures()
    return BlobServiceClient(
        account.endpoint,
        credential=_credential(account, credentials),
        transport=open_transport(use_environment=credentials.ambient),
        retry_policy=_RetryPolicy(),
        # A redirect would take a signature to whomever it names.
        permit_redirects=False,
        user_agent_use_env=False,
        # A range is one request, and so is a small object.
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
    """Lets no record pass in which a signed URL stands."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return "sig=" not in record.getMessage()


_WITHHELD = _Withhold()


def _without_answers(record: logging.LogRecord) -> bool:
    """Let requests pass, whose signatures azure.core takes out, and no answers, which may repeat them."""
    return record.getMessage().startswith("Request ")


def _withhold_signatures() -> None:
    """Keep signed URLs out of the logs: urllib3 writes each request's down at DEBUG, and at WARNING if it fails."""
    for name in ("urllib3.connectionpool", "urllib3.connection", "urllib3.util.retry"):
        logging.getLogger(name).addFilter(_WITHHELD)  # adding it again changes nothing
    logging.getLogger("azure.core.pipeline.policies.http_logging_policy").addFilter(_without_answers)
