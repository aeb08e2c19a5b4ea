"""Reads the conditions in the query of a signed URL that a request must meet, and says which cannot be met.

A sealed object differs each time that it is written, and its size is known only at its end. So no checksum that was
signed with a URL can be met by one.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors_https.policy import decoded

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

__all__ = ["KNOWN_HEADERS", "Condition", "conditions_of", "headers_of", "hints_of", "obstacle", "unknown_headers"]

KNOWN_HEADERS = frozenset(
    {
        *("host", "accept-encoding", "content-length", "content-type", "if-none-match", "x-amz-checksum-mode"),
        *("x-amz-content-sha256", "x-goog-if-generation-match", "x-ms-blob-type"),
    }
)
"""The signed headers that a read or a write can send, as `sink` and `source` know their values."""
_CHECKSUMS = re.compile(
    r"x-amz-checksum-(?:crc32|crc32c|crc64nvme|sha1|sha256|sha512|md5|xxhash\w*)|content-md5|x-goog-hash"
)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_OF_NOTHING = frozenset(
    base64.b64decode(text)
    for text in (
        *("AAAAAA==", "AAAAAAAAAAA=", "1B2M2Y8AsgTpgAmY7PhCfg==", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    )
)
"""The checksums of no bytes: CRC32 and CRC32C, CRC64NVME, MD5, SHA-1 and SHA-256."""
_OTHER_REQUESTS = {
    "uploadid": "uploadId, so it was signed for a part of a multipart upload",
    "uploads": "uploads, so it was signed for starting a multipart upload",
    "list-type": "list-type, so it was signed for listing a bucket",
    "acl": "acl, so it was signed for an access control list",
    "tagging": "tagging, so it was signed for an object's tags",
}
"""Parameters of S3's and Google's requests that are not about an object's bytes."""
_OTHER_REQUESTS_OF_AZURE = {
    "comp": "comp, so it was made for another operation than reading or writing a blob",
    "restype": "restype, so it was made for a container or an account",
}
_OTHERS = _OTHER_REQUESTS | _OTHER_REQUESTS_OF_AZURE
_DEMANDS = frozenset(
    {"content-type", "x-id", "x-amz-content-sha256", "x-goog-content-sha256", "x-amz-sdk-checksum-algorithm"}
)
_OPERATIONS = {"getobject": "GET", "putobject": "PUT"}
_SPEAKING = re.compile(r"(?!.*[0-9a-f]{12})(?!.*[0-9]{6})[a-z][a-z0-9-]{0,40}", re.ASCII)
_READABLE_OPERATION = re.compile(r"[A-Za-z]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a query demands of a request.

    Attributes:
        name: the lower-case name of the header or parameter.
        value: the value that it must have; None if the query does not say.
    """

    name: str
    value: str | None = field(default=None, repr=False)


def conditions_of(
    form: str | None, members: Mapping[str, str], signed_headers: Collection[str]
) -> tuple[Condition, ...]:
    """Return the conditions in a query; none if its form is not known, because its parameters could mean anything.

    Args:
        form: the form of the query.
        members: its parameters by lower-case name.
        signed_headers: the lower-case names of the headers that its signature covers.
    """
    if form is None:
        return ()
    found = {name: Condition(name) for name in sorted(signed_headers) if name != "host"}
    others = _OTHER_REQUESTS_OF_AZURE if form == "azure" else _OTHER_REQUESTS
    for name, value in members.items():
        if _CHECKSUMS.fullmatch(name) or name in others or name in _DEMANDS:
            found[name] = Condition(name, value)
    return tuple(found.values())


def obstacle(conditions: Collection[Condition], *, writing: bool | None = None) -> str | None:
    """Return why no sealed object can be read or written with a query that demands this, or None.

    Args:
        conditions: what it demands.
        writing: whether the object is to be written; None if either.
    """
    for one in conditions:
        if one.name in _OTHERS:
            return f"the query has {_OTHERS[one.name]}; get a URL for reading or writing the object"
        if _CHECKSUMS.fullmatch(one.name) and writing is not False:
            return _fixed_checksum(one)
    signed_for = {one.value.lower() for one in conditions if one.name == "x-id" and one.value}
    payload = next((one.value for one in conditions if one.name.endswith("-content-sha256")), None)
    if (writing or (writing is None and "putobject" in signed_for)) and payload not in (None, _UNSIGNED):
        return (
            "the query fixes the SHA-256 of the body, and a sealed object differs each time; "
            f"get a URL signed with the body as {_UNSIGNED}"
        )
    return None


def _fixed_checksum(condition: Condition) -> str:
    name = condition.name
    advice = (
        "get a URL signed without a checksum (AWS SDK for JavaScript: requestChecksumCalculation 'WHEN_REQUIRED'; "
        "for Python: request_checksum_calculation='when_required')"
    )
    if condition.value and decoded(condition.value) in _OF_NOTHING:
        return (
            f"the query demands the checksum of an empty body ({name}), as some SDKs sign by mistake, so the storage "
            f"would refuse every object but an empty one; {advice}"
        )
    return f"the query fixes the object's checksum ({name}), and a sealed object differs each time; {advice}"


def unknown_headers(signed_headers: Collection[str]) -> str | None:
    """Return what is wrong if a signature covers headers whose values no read or write knows, or None."""
    # Checksums have an explanation of their own.
    unknown = sorted(name for name in set(signed_headers) - KNOWN_HEADERS if not _CHECKSUMS.fullmatch(name))
    if not unknown:
        return None
    # In a damaged query, digits of the signature may stand where names are expected.
    shown = [name if _SPEAKING.fullmatch(name) else "…" for name in unknown]
    return (
        f"it was signed together with the headers {', '.join(shown)}, whose values are not known here; "
        "get a URL signed with the host alone"
    )


def headers_of(form: str | None, conditions: Collection[Condition]) -> tuple[tuple[str, str], ...]:
    """Return the headers that a PUT must send because the query gives their values: only S3's version 2 does so."""
    return tuple(
        (one.name, one.value)
        for one in conditions
        if form == "s3-v2"
        and one.name == "content-type"
        and one.value
        and re.fullmatch(r"[!-~]+(?: [!-~]+)*", one.value)
    )


def hints_of(
    form: str | None, members: Mapping[str, str], signed_headers: Collection[str], *, addresses: bool
) -> Iterator[tuple[str, str]]:
    """Yield what may explain that a storage refuses a request: its method, or an empty string for any, and a sentence.

    Args:
        form: the form of the query.
        members: its parameters by lower-case name.
        signed_headers: the lower-case names of the headers that its signature covers.
        addresses: whether a policy allows only certain IP addresses.
    """
    yield from _of_operation(members, form)
    if "content-type" in signed_headers:
        yield "PUT", "the Content-Type is signed; application/octet-stream was sent: sign that, or no Content-Type"
    elif form in ("s3-v2", "gcs-v2"):
        sent = "that of the query was sent" if "content-type" in members else "none was sent"
        yield "PUT", f"a signature of version 2 also covers the Content-Type, and {sent}: sign the URL without one"
    if "content-length" in signed_headers:
        yield "PUT", "the Content-Length is signed, and a sealed object is larger than its plain bytes: do not sign it"
    if "x-amz-sdk-checksum-algorithm" in members:
        yield "PUT", "the query demands a checksum (x-amz-sdk-checksum-algorithm), and none was sent: sign it without"
    if addresses or "sip" in members:
        yield "", "it may be used only from certain IP addresses"
    dates = [members.get(f"{vendor}-date", "")[:8] for vendor in ("x-amz", "x-goog")]
    scopes = [members.get(f"{vendor}-credential", "").split("/") for vendor in ("x-amz", "x-goog")]
    for date, scope in zip(dates, scopes, strict=True):
        if date and len(scope) >= 4 and date not in scope:  # noqa: PLR2004 - key, date, service and the ending
            yield "", "the date in its Credential is not that of its Date, so one of them was changed"


def _of_operation(members: Mapping[str, str], form: str | None) -> Iterator[tuple[str, str]]:
    operation = members.get("x-id", "")
    method = _OPERATIONS.get(operation.lower())
    if method is not None:
        other = "PUT" if method == "GET" else "GET"
        yield other, f"it was signed for {'reading' if method == 'GET' else 'writing'} only (x-id)"
    elif operation and _READABLE_OPERATION.fullmatch(operation):
        yield "", "it was signed for another operation than GetObject and PutObject (x-id)"
    permissions = members.get("sp") if form == "azure" and "si" not in members else None
    if permissions is not None and "r" not in permissions:
        yield "GET", "its permissions (sp) do not allow reading (r)"
    if permissions is not None and not {"w", "c"} & set(permissions):
        yield "PUT", "its permissions (sp) do not allow writing (w)"
    elif permissions is not None and "w" not in permissions:
        yield "PUT", "its permissions (sp) allow creating an object (c), not replacing one (w)"
