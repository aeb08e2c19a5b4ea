"""Clients of the blob service that know the credentials they are given, and nothing of the machine around them."""

from __future__ import annotations

import logging
import random
import re
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors_azure.identity import Tokens, open_identity

if TYPE_CHECKING:
    from connectors_azure.account import Account
    from connectors_azure.credentials import AzureCredentials

__all__ = ["MAX_PUT_SIZE", "TOTAL_ATTEMPTS", "open_service"]

CONNECT_TIMEOUT = 10
"""Seconds to connect in."""
READ_TIMEOUT = 60
"""Seconds without a byte until a request has failed."""
TOTAL_ATTEMPTS = 5
"""How often a request is sent at most."""
FIRST_PAUSE = 0.5
"""Seconds before the second attempt, at most; doubled before each further one."""
CONNECTIONS = 32
"""Connections that are kept."""
MAX_PUT_SIZE = 5000 << 20
"""Bytes of the largest blob that one Put Blob makes: Azure Storage, "Scalability targets for Blob storage"."""


_NUMBERS = {
    "Content-Length": re.compile(r"[0-9]{1,18}"),
    "Content-Range": re.compile(r"bytes (?:\*|[0-9]{1,18}-(?:-1|[0-9]{1,18}))/[0-9]{1,18}"),
}


class _Transport(RequestsTransport):  # type: ignore[misc]  # azure.core gives it without its type
    """Sends requests, and lets go at once of answers whose numbers are none: what comes after would trip over them."""

    def send(self, request: Any, **kwargs: Any) -> Any:
        """Return the answer to a request."""
        answer = super().send(request, **kwargs)
        for name, form in _NUMBERS.items():
            text = answer.headers.get(name)
            if text is not None and not form.fullmatch(text):
                answer.internal_response.close()
                message = f"an answer with a {name} that is none"
                raise ServiceResponseError(message)
        return answer


class _Connection(HTTPConnection):
    # http.client prints every request, signature and all, while its debug level is up, and a level set on its class is
    # everybody's.
    debuglevel = 0


class _TlsConnection(HTTPSConnection):
    debuglevel = 0


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class _Patience(ExponentialRetry):
    """Repeats what is worth repeating; the pauses differ, so that clients that failed together come back apart."""

    def __init__(self) -> None:
        again = TOTAL_ATTEMPTS - 1
        super().__init__(retry_total=again, retry_connect=again, retry_read=again, retry_status=again)

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        """Return how many seconds to wait before the next attempt."""
        longest: float = FIRST_PAUSE * 2 ** (settings["count"] - 1)
        return random.uniform(longest / 2, longest)  # noqa: S311 - no secret


def open_service(account: Account, credentials: AzureCredentials) -> BlobServiceClient:
    """Return a client of an account's blob service.

    Unless the credentials are ambient, it takes nothing from the environment: no proxies, no ~/.netrc, whose password
    would take the place of the signature.

    Raises:
        ConfigError: the credentials log in with Microsoft Entra, and azure-identity is not installed.
    """
    _withhold_signatures()
    transport = _Transport(
        connection_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, use_env_settings=credentials.ambient
    )
    transport.open()
    session: Any = transport.session  # requests has no types
    for prefix in ("https://", "http://"):
        adapter = session.get_adapter(prefix)
        adapter.init_poolmanager(connections=CONNECTIONS, maxsize=CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return BlobServiceClient(
        account.endpoint,
        credential=_credential(account, credentials),
        transport=transport,
        retry_policy=_Patience(),
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
