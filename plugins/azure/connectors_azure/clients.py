"""Clients of the blob service that know the credentials they are given, and nothing of the machine around them."""

from __future__ import annotations

import logging
import random
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.exceptions import ServiceResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpResponse
from azure.storage.blob import BlobServiceClient, ExponentialRetry
from requests.exceptions import RequestException
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from connectors.storage import StallTimeoutConnection
from connectors_azure.identity import Tokens, open_identity

if TYPE_CHECKING:
    from requests import Response

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
MOST_TOLD = 64 << 20
"""Bytes in the largest answer that is no blob's: a page of a listing tells of 5,000 blobs with 8 KiB of metadata; and
MOST_SAID, of one that is an error."""
MOST_SAID = 1 << 20
_PIECE = 1 << 16

_NUMBERS = {
    "Content-Length": re.compile(r"[0-9]{1,18}"),
    "Content-Range": re.compile(r"bytes (?:\*|[0-9]{1,18}-(?:-1|[0-9]{1,18}))/[0-9]{1,18}"),
}


class _Connection(StallTimeoutConnection, HTTPConnection):
    # http.client prints every request, signature and all, while its debug level is up, and a level set on its class is
    # everybody's.
    debuglevel = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.silence = READ_TIMEOUT


class _TlsConnection(_Connection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class TooManyRequests(ServiceResponseError):
    """A status that is worth another try, and that the client's own retries do not know."""


class _Transport(RequestsTransport):  # type: ignore[misc]  # azure.core gives it without its type
    """Sends requests, and lets go at once of answers whose numbers are none: what comes after would trip over them.

    Of an answer that is no blob's bytes only so much is read as a sensible one has.
    """

    def send(self, request: Any, *, stream: bool = False, **kwargs: Any) -> Any:
        """Return the answer to a request."""
        answer = super().send(request, stream=True, **kwargs)
        for name, form in _NUMBERS.items():
            text = answer.headers.get(name)
            if text is not None and not form.fullmatch(text):
                answer.internal_response.close()
                message = f"an answer with a {name} that is none"
                raise ServiceResponseError(message)
        if answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            answer.internal_response.close()
            message = "too many requests"
            raise TooManyRequests(message)
        if not stream or answer.status_code not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            _read(answer.internal_response)
            if isinstance(answer, HttpResponse):
                answer.read()
        elif answer.headers.get("Content-Length") and answer.headers.get("Transfer-Encoding"):
            # The second would win, and end nowhere near the first.
            answer.internal_response.close()
            message = "an answer with two lengths"
            raise ServiceResponseError(message)
        return answer


def _read(answer: Response) -> None:
    """Read an answer's body, as the client asks for it later."""
    body, most = bytearray(), MOST_TOLD if answer.status_code < HTTPStatus.MULTIPLE_CHOICES else MOST_SAID
    try:
        for piece in answer.iter_content(_PIECE):
            body += piece
            if len(body) > most:
                answer.close()
                body.clear()  # the error holds on to what is here until all tries have failed
                message = "an answer without end"
                raise ServiceResponseError(message)
    except RequestException as error:
        raise ServiceResponseError(error, error=error) from error
    answer._content = bytes(body)  # noqa: SLF001 - where requests itself keeps it


class _RetryPolicy(ExponentialRetry):
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
    # It would look at where a redirect leads though it is not to follow it, and trip over what is no place.
    session.get_redirect_target = lambda _: None
    for prefix in ("https://", "http://"):
        adapter = session.get_adapter(prefix)
        adapter.init_poolmanager(connections=CONNECTIONS, maxsize=CONNECTIONS)
        adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
    return BlobServiceClient(
        account.endpoint,
        credential=_credential(account, credentials),
        transport=transport,
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
