"""What went wrong with a request: an error of `connectors.errors`, and whether a retry may help.

Error texts hold nothing that the server wrote, except a code that looks like one.
"""

from __future__ import annotations

import email.utils
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.errors import ConnectorError, StorageUnavailable
from connectors.system.os_errors import OF_THIS_MACHINE, failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from connectors.storage.http.messages import Headers
    from connectors.storage.http.network import Limits, Origin, Proxy

__all__ = ["Failure", "broken", "retry_after"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that failed.

    Attributes:
        error: what to raise.
        transient: whether a retry may succeed.
        pause: the pause that the server asked for in seconds, or None.
        status: the HTTP status, or None if there was no response.
        code: the store's error code, or an empty string.
    """

    error: ConnectorError
    transient: bool = False
    pause: float | None = None
    status: int | None = None
    code: str = ""


def broken(
    error: BaseException,
    origin: Origin,
    proxy: Proxy | None,
    limits: Limits,
    *,
    connected: bool = True,
    issuer: Callable[[], str | None] = lambda: None,
) -> Failure:
    """Return the failure that a broken connection means.

    Args:
        error: the error of the connection.
        origin: the server.
        proxy: the proxy between, or None.
        limits: the timeouts.
        connected: whether there was a connection.
        issuer: returns the name of the authority that signed the server's certificate, if it says so.
    """
    host = origin.authority
    way = f" through the proxy that {proxy.variable} names" if proxy else ""
    match error:
        case ssl.SSLCertVerificationError():
            return Failure(StorageUnavailable(_unverified(host, error.verify_message, issuer())))
        case OSError() if error.errno in OF_THIS_MACHINE:
            return Failure(failure(error, host, "cannot be reached"))
        case ssl.SSLError():
            reason = f"TLS with {host}{way} failed: {_known_reason(error.reason)}"
        case socket.gaierror():
            reason = f"the name {proxy.host if proxy else origin.host} does not resolve"
        case TimeoutError() if connected:
            reason = f"{host} sent nothing for {limits.stall_timeout:g} s"
        case TimeoutError():
            reason = f"no connection to {host}{way} within {limits.connect_timeout:g} s"
        case OSError() if proxy and not connected:
            reason = f"no connection to {host}{way}: the proxy refuses it, or is unreachable"
        case OSError() if not connected:
            reason = f"no connection to {host}: refused or unreachable"
        case _:
            reason = f"the connection to {host}{way} broke"
    return Failure(StorageUnavailable(reason), transient=True)


def _unverified(host: str, why: str, issuer: str | None) -> str:
    signed = f", signed by {issuer!r} according to itself," if issuer else ""
    return (
        f"the TLS certificate of {host}{signed} cannot be verified: {why}; the connection may be intercepted, or this "
        "machine does not know the authority that signed the certificate: then name a file with the authority's "
        "certificate in SSL_CERT_FILE"
    )


_REASON = re.compile(r"[A-Z0-9_]{1,80}")


def _known_reason(reason: object) -> str:
    """Return OpenSSL's name for a reason, which is no text of the server."""
    return str(reason) if _REASON.fullmatch(str(reason)) else "the connection broke"


_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


def retry_after(headers: Headers) -> float | None:
    """Return the Retry-After of a response in seconds, or None."""
    text = headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None
