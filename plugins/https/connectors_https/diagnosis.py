"""Says what is missing or contradictory in the query of a signed URL, without any of its values.

The rules are those of the vendors' references: AWS "Authenticating Requests: Using Query Parameters" (Signature Version
4, and the older Version 2), CloudFront "Use signed URLs", Google Cloud Storage "Signed URLs" (V4 and V2); those of
Azure are in `connectors.storage.sas_problems`. Nothing is sent, so the signature itself is not verified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from connectors.storage import SAS_NAMES, query_damage, query_members, sas_problems
from connectors_https.policy import decoded, policy_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Form", "form_of", "problems_of"]

Form = Literal["s3-v4", "gcs-v4", "s3-v2", "gcs-v2", "cloudfront", "azure"]
"""The form of a signed query, also of one that is incomplete."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a form consists of: its name in sentences, and the names of its parameters, as their vendor writes them.

    No other form has the parameters in `own`.
    """

    title: str
    required: tuple[str, ...]
    more: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


def _version_4(title: str, prefix: str, *more: str) -> _Rules:
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    required = tuple(f"{prefix}{name}" for name in names)
    return _Rules(title, required, tuple(f"{prefix}{name}" for name in more), required)


_RULES: dict[Form, _Rules] = {
    "s3-v4": _version_4("S3's signature of version 4", "X-Amz-", "Security-Token", "Region-Set", "Content-Sha256"),
    "gcs-v4": _version_4("Google's signature of version 4", "X-Goog-", "Content-Sha256"),
    "s3-v2": _Rules(
        "S3's signature of version 2",
        ("AWSAccessKeyId", "Expires", "Signature"),
        ("x-amz-security-token",),
        ("AWSAccessKeyId",),
    ),
    "gcs-v2": _Rules(
        "Google's signature of version 2", ("GoogleAccessId", "Expires", "Signature"), (), ("GoogleAccessId",)
    ),
    # A canned policy has Expires, a custom one Policy.
    "cloudfront": _Rules(
        "CloudFront's signature", ("Key-Pair-Id", "Signature"), ("Expires", "Policy"), ("Key-Pair-Id",)
    ),
    "azure": _Rules("Azure's shared access signature", SAS_NAMES),
}
_OWN = tuple((form, name) for form, rules in _RULES.items() for name in rules.own)
_WEEK = 604_800
"""The longest validity in seconds of a signature of version 4."""
_SIGV4A = "AWS4-ECDSA-P256-SHA256"
_ALGORITHMS = {
    "s3-v4": {"AWS4-HMAC-SHA256": (64,), _SIGV4A: ()},
    # Keys of service accounts have 2048 bits; signBlob may use others.
    "gcs-v4": {"GOOG4-RSA-SHA256": (512, 256, 768, 1024), "GOOG4-HMAC-SHA256": (64,)},
}
"""The hexadecimal digits of a signature by its algorithm; the usual number first."""
_BYTES = {"s3-v2": (20, 32), "gcs-v2": (256, 128, 384, 512, 20, 32), "cloudfront": (256, 128, 384, 512)}
"""The bytes of a signature in base64: HMAC's or RSA's, by the size of its key; the usual number first."""
_AGAIN = "copy the URL again"
_BASIC_TIME = re.compile(r"[0-9]{8}T[0-9]{6}Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]{1,11}", re.ASCII)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_AWS_REGION = re.compile(r"[.-]([a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2})\.amazonaws\.com(?:\.cn)?\Z", re.ASCII)
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+){1,3}-[0-9]{1,2}", re.ASCII)
_VENDORS = (("s3", ".amazonaws.com"), ("s3", ".amazonaws.com.cn"), ("azure", ".core.windows.net"))
_TEMPORARY = "ASIA"
"""The start of the ids of AWS's temporary access keys, which work only with a session token."""


def form_of(query: str) -> Form | None:
    """Return the form of a query, also of an incomplete or damaged one; None if no vendor's is recognised.

    >>> form_of("X-Goog-Algorithm=GOOG4-RSA-SHA256")
    'gcs-v4'
    """
    members = query_members(query)
    found: Form | None = next((form for form, name in _OWN if name.lower() in members), None)
    if found is None and _is_sas(members):
        found = "azure"
    return found or _form_of_rest(query, members)


def _is_date(text: str) -> bool:
    return _DATE.match(text) is not None


def _is_sas(members: Mapping[str, str]) -> bool:
    if _is_date(members.get("sv", "")):
        return True
    own = members.keys() & {"sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "skoid", "sktid", "ske"}
    # Two short names alone may be those of another server.
    return len(own) > 2 or (len(own) == 2 and ("sig" in members or _is_date(members.get("se", ""))))  # noqa: PLR2004


def _form_of_rest(query: str, members: Mapping[str, str]) -> Form | None:
    """Return the form of a query whose parameters run together, or which lacks the name of its key."""
    for form, name in _OWN:
        if _stands_in(name, query):
            return form
    sas = rf"(?:{'|'.join(SAS_NAMES)})"
    if re.match(rf"{sas}(?:=|%(?:25)*3D)", query):
        names = set(re.findall(rf"({sas})(?:=(?=[^=&])|%(?:25)*3D)", query))
        if len(names) > 2 and {"sig", "sv", "se"} & names:  # noqa: PLR2004 - two may be those of another vendor
            return "azure"
    # Other vendors also have Expires and Signature, but beside the names of keys of their own.
    own = re.compile(r"expires|signature|policy|content-type|content-md5|x-amz-.*|response-.*")
    others = [name for name in members if not own.fullmatch(name)]
    cut = [name for name in others if any(one.lower().startswith(name) for _, one in _OWN)]
    if not re.search(r"(?:^|&)Signature=", query) or others != cut:
        return None
    if members.keys().isdisjoint({"expires", "policy"}):
        return None
    if "policy" in members or re.search("[-~_]", members["signature"]):
        return "cloudfront"
    by_size: dict[int | None, Form] = {20: "s3-v2", 256: "gcs-v2"}
    return by_size.get(_signature_bytes(members["signature"]))


def _stands_in(name: str, query: str) -> bool:
    """Return whether a parameter's name stands anywhere in a query, which may be percent-encoded as a whole."""
    if "=" in query:
        return f"{name}=" in query
    return re.search(rf"(?:\A|%(?:25)*26){name}%(?:25)*3D", query) is not None


def problems_of(query: str | None, location: str | None = None) -> tuple[str, ...]:
    """Return what is missing or contradictory in a query, and what to do; empty for an unsigned URL.

    Args:
        query: the query, or None.
        location: the URL that it is for, if known.

    >>> problems_of("X-Amz-Algorithm=AWS4-HMAC-SHA256")[0]
    "the end of the query is missing, with the signature: S3's signature of version 4 also has X-Amz-Credential, \
X-Amz-Date, X-Amz-Expires, X-Amz-SignedHeaders, X-Amz-Signature; copy the URL again"
    """
    form = form_of(query) if query else None
    if form is None or not query:
        return ()
    rules = _RULES[form]
    damage = query_damage(query, (*rules.required, *rules.more))
    if damage:
        return damage
    members = query_members(query)
    found = list(sas_problems(query, location) if form == "azure" else _of_form(form, members))
    found += _contradictions(form, members)
    found += _at(form, members, _host(location)) if location else ()
    return tuple(found)


def _of_form(form: Form, members: Mapping[str, str]) -> Iterator[str]:
    rules = _RULES[form]
    missing = [name for name in rules.required if not members.get(name.lower())]
    if members.get("x-amz-algorithm") == _SIGV4A and "x-amz-region-set" not in members:
        missing.append("X-Amz-Region-Set")
    if form == "cloudfront" and not (members.get("expires") or members.get("policy")):
        missing.append("Expires or Policy")
    if missing:
        names = ", ".join(missing)
        if rules.required[-1] in missing:
            yield f"the end of the query is missing, with the signature: {rules.title} also has {names}; {_AGAIN}"
        else:
            yield f"{names} {'is' if len(missing) == 1 else 'are'} missing, which {rules.title} has; {_AGAIN}"
    yield from _version_4_problems(form, members) if form in _ALGORITHMS else _older_problems(form, members)
    key = members.get("x-amz-credential", members.get("awsaccesskeyid", ""))
    if key.startswith(_TEMPORARY) and not members.get("x-amz-security-token"):
        yield (
            "it was signed with a temporary access key, but has no session token (X-Amz-Security-Token); "
            f"{_AGAIN}, or sign it again with the token"
        )


def _version_4_problems(form: Form, members: Mapping[str, str]) -> Iterator[str]:
    prefix, requests = ("X-Amz-", "aws4_request") if form == "s3-v4" else ("X-Goog-", "goog4_request")
    given = {name: members.get(f"{prefix}{name}".lower(), "") for name in ("Date", "Expires", "Credential")}
    algorithm = members.get(f"{prefix}Algorithm".lower(), "")
    if algorithm and algorithm not in _ALGORITHMS[form]:
        yield f"{prefix}Algorithm is none of {', '.join(_ALGORITHMS[form])}; it was cut short or changed: {_AGAIN}"
    if given["Date"] and not _BASIC_TIME.fullmatch(given["Date"]):
        yield f"{prefix}Date is not a time, such as 20260102T030405Z; it was cut short or changed: {_AGAIN}"
    if given["Expires"] and not _DIGITS.fullmatch(given["Expires"]):
        yield f"{prefix}Expires is not a number of seconds; {_AGAIN}"
    elif given["Expires"] and not 0 < int(given["Expires"]) <= _WEEK:
        yield f"{prefix}Expires is not from 1 to {_WEEK} seconds, which is a week; sign the URL again"
    parts = given["Credential"].split("/")
    least = 4 if algorithm == _SIGV4A else 5  # that of several regions names none
    if given["Credential"] and (len(parts) < least or parts[-1] != requests or not all(parts)):
        yield (
            f"{prefix}Credential does not end in a date, region, service and {requests}; "
            f"it was cut short or changed: {_AGAIN}"
        )
    headers = members.get(f"{prefix}SignedHeaders".lower(), "")
    if headers and "host" not in headers.lower().split(";"):
        yield f"{prefix}SignedHeaders does not have host, which is always signed; {_AGAIN}"
    yield from _hexadecimal(f"{prefix}Signature", members, _ALGORITHMS[form].get(algorithm))


def _hexadecimal(name: str, members: Mapping[str, str], sizes: tuple[int, ...] | None) -> Iterator[str]:
    signature = members.get(name.lower(), "")
    if not signature or sizes is None:
        return
    if not re.fullmatch(r"[0-9A-Fa-f]+", signature):
        yield f"{name} has other characters than hexadecimal digits; {_AGAIN}"
    elif not sizes:  # an ECDSA signature in DER, which starts with its length
        if len(signature) < 4 or len(signature) != 2 * int(signature[2:4], 16) + 4:  # noqa: PLR2004 - tag and length
            yield f"{name} is cut short or damaged; {_AGAIN}"
    elif len(signature) not in sizes:
        cut = "cut short" if len(signature) < sizes[0] else "too long"
        yield f"the signature, {name}, is {cut}: {len(signature)} of {sizes[0]} hexadecimal digits; {_AGAIN}"


def _older_problems(form: Form, members: Mapping[str, str]) -> Iterator[str]:
    if members.get("expires") and not _DIGITS.fullmatch(members["expires"]):
        yield f"Expires is not a time in seconds since 1970; {_AGAIN}"
    signature = members.get("signature", "")
    size = _signature_bytes(signature)
    ecdsa = form == "cloudfront" and size is not None and 68 <= size <= 72  # noqa: PLR2004 - P-256's, in DER
    if signature and size not in _BYTES[form] and not ecdsa:
        usual = -(-_BYTES[form][0] // 3) * 4
        cut = (
            f"is cut short: {len(signature)} of {usual} characters"
            if len(signature) < usual
            else "is not one in base64"
        )
        yield f"the signature, Signature, {cut}; {_AGAIN}"
    if members.get("policy") and policy_of(members["policy"]) is None:
        yield f"Policy is not a policy of CloudFront; it was cut short or changed: {_AGAIN}"


def _signature_bytes(text: str) -> int | None:
    data = decoded(text)
    return None if data is None else len(data)


def _contradictions(form: Form, members: Mapping[str, str]) -> Iterator[str]:
    signatures = {
        "x-amz-signature": "X-Amz-Signature",
        "x-goog-signature": "X-Goog-Signature",
        "sig": "sig",
    }
    if form == "s3-v4" and "awsaccesskeyid" in members:
        signatures["signature"] = "Signature"
    both = [shown for name, shown in signatures.items() if name in members]
    if len(both) > 1:
        yield f"it has several signatures, {' and '.join(both)}, of which a storage accepts one; {_AGAIN}"


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or ""
    except ValueError:  # not a URL, which whoever opens it is told
        return ""


def _at(form: Form, members: Mapping[str, str], host: str) -> Iterator[str]:
    """Yield how the query contradicts the location's host, if that is a vendor's."""
    title = _RULES[form].title
    vendor = form.partition("-")[0]
    hosts = {name for name, end in _VENDORS if host.endswith(end)}
    if hosts and vendor not in (*hosts, "cloudfront"):
        yield f"the query is {title}, but the location is at another vendor's storage; check that they belong together"
    elif form == "azure" and host == "storage.googleapis.com":
        yield f"the query is {title}, but the location is at Google's storage; check that they belong together"
    place, parts = _AWS_REGION.search(host), members.get("x-amz-credential", "").split("/")
    if form == "s3-v4" and place and len(parts) >= 5 and _REGION.fullmatch(parts[-3]) and place[1] != parts[-3]:  # noqa: PLR2004
        yield (
            f"it was signed for the region {parts[-3]}, and the location's host is in {place[1]}; "
            "use the URL's own host, or sign it again"
        )
