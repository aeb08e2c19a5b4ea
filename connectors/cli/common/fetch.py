"""A text that lies on the web: fetched once, by whoever names it, in bounded memory and time.

`urllib` is enough for that, and every Python has it. The module is loaded by who fetches alone.
"""

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
"""Seconds that all of it may take."""
_REDIRECTION = range(300, 400)


def fetch_text(url: str, what: str) -> str:
    """Return a text in UTF-8.

    Args:
        url: ``https://…``, or ``http://…`` on this machine.
        what: what errors call it: "long description".

    Raises:
        ConfigError: it cannot be had, is no such text, or is larger than a small document.
    """
    data, problem = b"", _refused(url)
    if not problem:
        answers: list[tuple[bytes, str]] = []
        # A name server may keep one waiting for ever, and so may a server that sends a byte a minute.
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
    """Return why a URL is not asked for, if it is not."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "is not a URL"
    if not parts.hostname or "@" in parts.netloc:
        return "is not fetched; a host is expected after the two slashes, without a user"
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        return "is not fetched; that needs https:// (http:// only from this machine itself)"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "is not a URL; letters that it cannot have are written as %20 is for a space"
    return ""


class _Near(HTTPRedirectHandler):
    """Follows from https:// to https:// alone: what only this machine can see is nobody else's to name."""

    def redirect_request(  # noqa: PLR0917 - urllib calls it like that
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if _refused(newurl) or urlsplit(newurl).scheme != req.type:
            return None  # which makes an error of it
        fp.close()  # it would be read to its end, however far that is
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch(url: str) -> tuple[bytes, str]:
    """Return what lies there, or what is wrong with it."""
    # No proxy gets to see what this machine says to itself.
    proxies = [ProxyHandler({})] if url.startswith("http:") else []
    problem = ""
    try:
        with build_opener(_Near, *proxies).open(url, timeout=TIMEOUT) as answer:
            return _read(answer)
    except HTTPError as error:
        error.close()
        problem = f"cannot be had: its server answers {error.code} ({error.reason})"
        if error.code in _REDIRECTION:
            problem = "cannot be had: its server leads elsewhere, where it is not followed; name that place"
    except HTTPException:
        problem = "cannot be had: its server's answer is cut off, or is no HTTP"
    except ValueError:
        problem = "is not a URL: no host is called that"
    except OSError as error:
        reason = getattr(error, "reason", error)
        why = getattr(reason, "strerror", None) or type(reason).__name__
        problem = _slow() if isinstance(reason, TimeoutError) else f"cannot be had: {why}"
    return b"", problem


def _read(answer: HTTPResponse) -> tuple[bytes, str]:
    data = answer.read(LIMIT + 1)
    if len(data) > LIMIT:
        return b"", f"is larger than {LIMIT} bytes"
    if answer.length:  # a limited `read` does not mind what is missing
        return b"", "cannot be had: its server's answer is cut off"
    if answer.headers.get_content_type() == "text/html":
        return b"", "is a web page (text/html); name the place where its text lies by itself"
    return data, "" if data.strip() else "is empty"


def _slow() -> str:
    return f"cannot be had: it has not come within {TIMEOUT:g} seconds"
