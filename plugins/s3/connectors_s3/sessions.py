"""Opens botocore sessions with the given credentials, isolated from the machine's configuration unless ambient."""

from __future__ import annotations

import logging
import os
import random
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.handlers import add_expect_header
from botocore.loaders import Loader

if TYPE_CHECKING:
    from connectors_s3.credentials import S3Credentials

__all__ = ["client_config", "open_session", "region"]

S = TypeVar("S")

CONNECT_TIMEOUT = 10
"""Connect timeout in seconds."""
READ_TIMEOUT = 60
"""Stall timeout in seconds: the longest wait for the next byte of a response."""
TOTAL_ATTEMPTS = 5
"""How often a request is sent at most; botocore's standard mode retries with exponential backoff."""
FIRST_BACKOFF = 1.0
"""The longest first backoff in seconds after status 429, too many requests; it doubles with each retry."""
STALL_TIMEOUT = 400.0
"""Seconds without a response, and without more of the body being sent, after which a request is given up, retries
included: about as long as all of them take together."""
DEFAULT_REGION = "us-east-1"
"""The region to sign for if there is an endpoint but no region: compatible stores expect this one."""


def open_session(kind: type[S], credentials: S3Credentials) -> S:
    """Return a session with `credentials`, of botocore or of a library based on it.

    Unless they are ambient, the session uses nothing from the AWS_* variables, ~/.aws or the instance metadata: no
    credentials, endpoint, region or option.
    """
    _withhold_signatures()
    make: Any = kind  # botocore has no types
    session = _without_expect_header(
        make(profile=credentials.profile) if credentials.ambient else _isolated_session(make, credentials)
    )
    session.register("needs-retry.s3", _throttling_backoff)
    return cast("S", session)


def _isolated_session(make: Any, credentials: S3Credentials) -> Any:
    """Return a session that uses nothing from the machine's configuration."""
    session = make(session_vars=_without_lookups(make.SESSION_VARIABLES))
    # ~/.aws/models could redefine the requests to S3. The sections s3 and proxies_config have no session variable.
    builtin = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session.register_component("data_loader", builtin)
    store = session.get_component("config_store")
    for section in ("s3", "proxies_config"):
        store.set_config_variable(section, {})
    if credentials.access_key_id and credentials.secret_access_key:
        token = credentials.session_token
        session.set_credentials(
            credentials.access_key_id, credentials.secret_access_key.reveal(), token.reveal() if token else None
        )
    return session


def _throttling_backoff(response: tuple[Any, Any] | None, attempts: int, **_: Any) -> float | None:
    """Return the backoff in seconds before the retry after status 429, too many requests; None for no retry.

    botocore itself retries after this status only if the response has an error code, which not every store sends.
    """
    if response is None or response[0].status_code != HTTPStatus.TOO_MANY_REQUESTS or attempts >= TOTAL_ATTEMPTS:
        return None
    return random.uniform(0, FIRST_BACKOFF * 2 ** (attempts - 1))  # noqa: S311 - no secret


def _without_lookups(variables: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return botocore's configuration variables, which keep their defaults but are not looked up anywhere."""
    isolated = {name: (None, None, default, convert) for name, (_, _, default, convert) in variables.items()}
    for name in ("config_file", "credentials_file"):
        isolated[name] = (None, None, os.devnull, None)
    return isolated


def client_config(credentials: S3Credentials) -> dict[str, Any]:
    """Return the arguments of the `botocore.config.Config` of all our clients."""
    return {
        "signature_version": "s3v4",
        "s3": {"addressing_style": credentials.addressing_style},
        "retries": {"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "max_pool_connections": 32,
        "ignore_configured_endpoint_urls": not credentials.ambient,
        # Without its own checksums, botocore signs the body's SHA-256, which every store checks. It would send its own
        # as trailers of a chunked body and as parameters of presigned URLs, which many compatible stores refuse.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def _without_expect_header(session: Any) -> Any:
    """Make a session send a request's body right after its headers, without ``Expect: 100-continue``.

    If the sender dies between the two, some stores take the body for empty and replace the previous object with an
    empty one. A body has at most one part, so a refused request wastes little.
    """
    session.unregister("before-call.s3", add_expect_header)
    return session


def region(credentials: S3Credentials) -> str | None:
    """Return the region to sign for; with None, botocore asks S3 for the bucket's region."""
    return credentials.region or (DEFAULT_REGION if credentials.endpoint_url else None)


class _Withhold(logging.Filter):
    """Drops DEBUG records."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return record.levelno > logging.DEBUG


_WITHHELD = _Withhold()


def _withhold_signatures() -> None:
    """Keep signatures and session tokens out of the logs.

    At DEBUG, ``botocore.auth`` logs each canonical request and its signature; ``botocore.endpoint`` each request with
    its headers; ``botocore.httpsession`` the errors of aiohttp, with the same headers; and ``botocore.parsers`` each
    response, which for an expired token contains that token. A presigned URL can be made from these. ``s3fs`` logs the
    text of S3's errors, which may be anything. Nothing else in these logs is worth that risk.
    """
    for name in ("botocore.auth", "botocore.endpoint", "botocore.httpsession", "botocore.parsers", "s3fs"):
        logging.getLogger(name).addFilter(_WITHHELD)  # adding it again changes nothing
