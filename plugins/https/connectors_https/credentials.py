"""The model of the credentials document of one object at a URL: the URL's signed query, if it has one."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from connectors.secrets import SecretText
from connectors.storage import Credentials, checked, not_yet_valid
from connectors_https.signature import Signature

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["HttpsCredentials"]

_QUERY = re.compile(r"[!-~]+", re.ASCII)
_WHITE_SPACE = re.compile(r"[ \t\r\n]+")


class HttpsCredentials(Credentials):
    """Credentials of an object at a signed or unsigned URL.

    >>> given = HttpsCredentials(query_string="c2lnPTEyMyUyZjQ=", encryption=None)
    >>> given
    HttpsCredentials(encryption=None, layout=None, type='https', query_string=SecretText(**********), allow_http=False)
    >>> given.query().reveal()
    'sig=123%2f4'
    """

    type: Literal["https"] = "https"
    query_string: Annotated[SecretText, checked(lambda value: _decode(value)[1])] | None = Field(
        default=None,
        description=(
            "The part of the signed URL after its '?', in base64, with or without padding; none for an unsigned URL."
        ),
    )
    allow_http: bool = Field(
        default=False,
        strict=True,
        description="Also allow http:// locations on other hosts, which reveal the signed query to the network.",
    )

    def query(self) -> SecretText | None:
        """Return the decoded query, exactly as it was signed; None for an unsigned URL."""
        if self.query_string is None:
            return None
        return _decode(self.query_string)[0]

    @property
    def expires_at(self) -> datetime | None:
        """When the signed query expires, in UTC, or None if it does not say; S3's, Google's and Azure's do."""
        return self.signature().expires_at

    def problems(self, location: str | None = None) -> tuple[str, ...]:
        """Return what is missing, contradictory or impossible in the query, without any of its values."""
        signature = self.signature(location)
        # A signature of version 4 starts when it was signed. One in the future means that the signer's clock is
        # ahead, or this machine's behind, which cannot be told apart here.
        signed_when_it_starts = signature.flavour in ("s3", "gcs")
        early = None if signed_when_it_starts else not_yet_valid(signature.starts_at)
        return tuple(f"credentials.query_string: {one}" for one in (*signature.problems, early) if one)

    def signature(self, location: str | None = None) -> Signature:
        """Return what the query says about its own signature, at `location` if that is known."""
        query = self.query()
        return Signature.of(None if query is None else query.reveal(), location)


def _decode(value: SecretText) -> tuple[SecretText | None, str | None]:
    """Return the decoded query, or the rule that the text breaks, without quoting the text."""
    # The base64 command wraps its output and ends it with a newline.
    text = _WHITE_SPACE.sub("", value.reveal()).rstrip("=")
    problem = _problem(text, _OTHER_THAN_BASE64)
    if problem is not None:
        return None, problem
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return None, "must be the URL's query in base64; part of it seems to be missing"
    # `echo "$QUERY" | base64` encodes a newline after the query.
    query = data.decode("latin-1").rstrip("\r\n")
    problem = _looks_like_no_query(query)
    return (None, problem) if problem is not None else (SecretText(query), None)


_OTHER_THAN_BASE64 = (
    (r"\Z", "is empty; if the URL has no query, leave this out or use null"),
    (r"(?i)https?://", "must be the URL's query alone, in base64; this is the whole URL"),
    (r"(?s).*[&=%]", "must be the URL's query in base64; this looks like the query itself"),
    (r"(?=.*[_-])[A-Za-z0-9_-]+\Z", "must be the URL's query in base64; replace - with + and _ with / in it"),
    (r"(?s).*[^A-Za-z0-9+/]", "must be the URL's query in base64; it contains characters that base64 does not have"),
)
"""What may stand in place of the base64, and what to say about it; the first that fits."""
_OTHER_THAN_A_QUERY = (
    (r"\?", "must be the base64 of what follows the '?', without the '?' itself"),
    (r"(?i)https?://", "must be the base64 of the URL's query alone; the rest of the URL belongs to the location"),
    (r"[\"'].*[\"']\Z", "must be the base64 of a URL's query, without the quotation marks around it"),
    (r".*&amp;", "must be the base64 of a URL's query; it was copied from HTML, with &amp; in place of &"),
)
"""The same of the text that was encoded."""


def _problem(text: str, others: tuple[tuple[str, str], ...]) -> str | None:
    return next((problem for form, problem in others if re.match(form, text)), None)


def _looks_like_no_query(query: str) -> str | None:
    problem = _problem(query, _OTHER_THAN_A_QUERY)
    if problem is None and _is_query_in_base64(query):
        return "must be the URL's query in base64; it is in base64 twice"
    if problem is None and (not _QUERY.fullmatch(query) or "#" in query):
        return (
            "must be the base64 of a URL's query: printable ASCII without white space and '#'; "
            "it decodes to something else"
        )
    return problem


def _is_query_in_base64(text: str) -> bool:
    try:
        inner = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return b"=" in inner and b"&" in inner
