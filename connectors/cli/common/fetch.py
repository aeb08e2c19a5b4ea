"""Fetch a text from the web, in bounded memory and time."""

from __future__ import annotations

from http.client import HTTPException, HTTPResponse
from threading import Thread
from typing import IO, TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from connectors.cli.common.private_files import LIMIT
from connectors.errors import ConfigError
from connectors.secrets import redact_url
from connectors.storage.endpoints import is_loopback

if TYPE_CHECKING:
    from http.client import HTTPMessage

__all__ = ["fetch_text"]

TIMEOUT = 30.0
"""Seconds that the whole download may take."""
_REDIRECTION = range(300, 400)


def fetch_text(url: str, what: str) -> str:
    """Return a text in UTF-8.

    Args:
        url: ``https://…``, or ``http://…`` on this machine.
        what: what errors call it: "long description".

    Raises:
        ConfigError: it cannot be fetched, is not UTF-8 text, is empty or a web page, or is too large.
    """
    data, problem = b"", _refused(url)
    if not problem:
        answers: list[tuple[bytes, str]] = []
        # A name server may never answer, and a server may send one byte a minute.
        asking = Thread(target=lambda: answers.append(_fetch(url)), daemon=True)
        asking.start()
        asking.join(TIMEOUT)
        data, problem = answers[0] if answers else (b"", _slow())
    try:
        text = data.decode()
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    if problem:
        message = f"the {what} {redact_url(url)!r} {problem}"
        raise ConfigError(message)
    return text


def _refused(url: str) -> str:
    """Return why a URL is not fetched, or an empty text."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if not parts.hostname or "@" in parts.netloc:
        return "is not fetched: it needs a host, and no user name, after the two slashes"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return "is not fetched: use https:// (http:// only for this machine itself)"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "is not a URL: write special characters percent-encoded, as in %20 for a space"
    return ""


class _Near(HTTPRedirectHandler):
    """Follows redirections from https:// to https:// only: no server may name a resource of this machine."""

    def redirect_request(  # noqa: PLR0917 - urllib calls it like that
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if _refused(newurl) or urlsplit(newurl).scheme != req.type:
            return None  # which raises an HTTPError
        fp.close()  # otherwise its body is read to the end, however long
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str) -> tuple[bytes, str]:
    """Return the text's bytes, and what is wrong, if anything."""
    # Requests to this machine itself go through no proxy.
    proxies = [ProxyHandler({})] if url.startswith("http:") else []
    problem = ""
    try:
        with build_opener(_Near, *proxies).open(url, timeout=TIMEOUT) as answer:
            return _read(answer)
    except HTTPError as error:
        error.close()
        problem = f"cannot be fetched: its server answers {error.code} ({error.reason})"
        if error.code in _REDIRECTION:
            problem = "cannot be fetched: its server redirects elsewhere, which is not followed; name the final URL"
    except HTTPException:
        problem = "cannot be fetched: the response is truncated, or is not HTTP"
    except ValueError:
        problem = "is not a URL: its host name is invalid"
    except OSError as error:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or type(reason).__name__
        problem = _slow() if isinstance(reason, TimeoutError) else f"cannot be fetched: {why}"
    return b"", problem


def _read(answer: HTTPResponse) -> tuple[bytes, str]:
    data = answer.read(LIMIT + 1)
    if len(data) > LIMIT:
        return b"", f"is larger than {LIMIT} bytes"
    if answer.length:  # a `read` with a limit does not report missing bytes
        return b"", "cannot be fetched: the response is truncated"
    if answer.headers.get_content_type() == "text/html":
        return b"", "is a web page (text/html); name a URL of the plain text"
    return data, "" if data.strip() else "is empty"


def _slow() -> str:
    return f"cannot be fetched: no complete response within {TIMEOUT:g} seconds"
