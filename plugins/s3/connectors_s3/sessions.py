"""botocore sessions that know the credentials they are given, and nothing of the machine around them."""

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
"""Seconds to connect in."""
READ_TIMEOUT = 60
"""Seconds without a byte until a request has failed."""
TOTAL_ATTEMPTS = 5
"""How often a request is sent at most; botocore's standard mode waits longer and longer between them."""
FIRST_PAUSE = 1.0
"""Seconds before the second request, at most, where there were too many; doubled before each further one."""
LONGEST = 400.0
"""Seconds until a request is given up, with all its repetitions, that neither is answered nor gets on: about as long as
these take together."""
DEFAULT_REGION = "us-east-1"
"""What requests are signed for where an endpoint is given and no region: compatible stores check it against this."""


def open_session(kind: type[S], credentials: S3Credentials) -> S:
    """Return a session of botocore's (or a library's over it) that has `credentials`.

    Unless they are ambient, the session takes nothing from the AWS_* variables, ~/.aws or the instance metadata:
    neither credentials, nor an endpoint, a region or an option.
    """
    _withhold_signatures()
    make: Any = kind  # botocore has no types
    session = _sending_at_once(
        make(profile=credentials.profile) if credentials.ambient else _closed_session(make, credentials)
    )
    session.register("needs-retry.s3", _pause_of_busy)
    return cast("S", session)


def _closed_session(make: Any, credentials: S3Credentials) -> Any:
    """Return a session that takes nothing from the machine around it."""
    session = make(session_vars=_isolated(make.SESSION_VARIABLES))
    # ~/.aws/models could redefine what a request to S3 is; the store's s3 and proxy sections have no session variable.
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


def _pause_of_busy(response: tuple[Any, Any] | None, attempts: int, **_: Any) -> float | None:
    """Return the seconds until a request is repeated for which there were too many; None where it is not.

    botocore knows that status only together with a code, which not every store sends.
    """
    if response is None or response[0].status_code != HTTPStatus.TOO_MANY_REQUESTS or attempts >= TOTAL_ATTEMPTS:
        return None
    return random.uniform(0, FIRST_PAUSE * 2 ** (attempts - 1))  # noqa: S311 - no secret


def _isolated(variables: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return botocore's configuration variables without the places they are looked up in: their defaults stay."""
    isolated = {name: (None, None, default, convert) for name, (_, _, default, convert) in variables.items()}
    for name in ("config_file", "credentials_file"):
        isolated[name] = (None, None, os.devnull, None)
    return isolated


def client_config(credentials: S3Credentials) -> dict[str, Any]:
    """Return the arguments of the `botocore.config.Config` that all our clients have."""
    return {
        "signature_version": "s3v4",
        "s3": {"addressing_style": credentials.addressing_style},
        "retries": {"mode": "standard", "total_max_attempts": TOTAL_ATTEMPTS},
        "connect_timeout": CONNECT_TIMEOUT,
        "read_timeout": READ_TIMEOUT,
        "max_pool_connections": 32,
        "ignore_configured_endpoint_urls": not credentials.ambient,
        # Without them botocore signs the body's SHA-256, which every store checks. Its own checksums travel as
        # trailers of a chunked body and as parameters of presigned URLs, which many compatible stores refuse.
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
    }


def _sending_at_once(session: Any) -> Any:
    """Let an object's bytes follow the head of their request without being asked for, ``Expect: 100-continue``.

    There are stores that take a request whose sender dies in between for one with an empty body, and put an object of
    no bytes in the place of the one that stood there. Bodies are parts at most, so that little is sent in vain.
    """
    session.unregister("before-call.s3", add_expect_header)
    return session


def region(credentials: S3Credentials) -> str | None:
    """Return the region to sign for; None is left to botocore, which asks the bucket."""
    return credentials.region or (DEFAULT_REGION if credentials.endpoint_url else None)


class _Withhold(logging.Filter):
    """Lets no DEBUG record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        return record.levelno > logging.DEBUG


_WITHHELD = _Withhold()


def _withhold_signatures() -> None:
    """Keep signatures and session tokens out of the logs.

    At DEBUG, ``botocore.auth`` logs each canonical request and its signature, ``botocore.endpoint`` each request with
    its headers, ``botocore.httpsession`` what aiohttp raised, with the same, and ``botocore.parsers`` each answer, and
    what S3 answers to an expired token is that token: all that a presigned URL is made of. ``s3fs`` logs what S3 says
    in its errors, which may be anything. Nothing else they log is worth that.
    """
    for name in ("botocore.auth", "botocore.endpoint", "botocore.httpsession", "botocore.parsers", "s3fs"):
        logging.getLogger(name).addFilter(_WITHHELD)  # adding it again changes nothing
