"""Checks shared access signatures (SAS) of Azure: what is missing in one, and what contradicts itself.

The rules are those of Azure's "Create a service SAS", "Create an account SAS" and "Create a user delegation SAS".
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from connectors.credentials.expiry import utc
from connectors.credentials.signed_queries import query_damage, query_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SAS_NAMES", "sas_problems"]

SAS_NAMES = (
    *("sv", "ss", "srt", "sr", "sp", "st", "se", "sip", "spr", "si", "sig", "sdd", "ses", "skoid", "sktid", "skt"),
    *("ske", "sks", "skv", "saoid", "suoid", "scid", "skdutid", "sduoid", "rscc", "rscd", "rsce", "rscl", "rsct"),
)
"""The parameters of shared access signatures."""

_DELEGATED = ("skoid", "sktid", "skt", "ske", "sks", "skv")
"""The parameters that a user delegation SAS has besides those of a service SAS."""
_TIMES = ("st", "se", "skt", "ske")
_SIGNATURE_BYTES = 32
_SIGNATURE_CHARACTERS = 44


def sas_problems(sas: str, location: str | None = None) -> tuple[str, ...]:
    """Return what is missing or contradictory in a shared access signature, in sentences without any of its values.

    Nothing is sent, so the signature itself is not verified.

    Args:
        sas: the SAS, which is the query of a URL, with or without its question mark.
        location: the URL that it is for, if known.

    >>> sas_problems("sv=2024-11-04&sr=b&sp=r&se=2099-01-02")
    ('sig, the signature, is missing; copy the URL again, to its end',)
    """
    damage = query_damage(sas, SAS_NAMES)
    members = query_members(sas)
    return damage or (*_missing(members), *_malformed(members), *_contradictions(members, location or ""))


def _missing(members: Mapping[str, str]) -> Iterator[str]:
    if not members.get("sig"):
        yield "sig, the signature, is missing; copy the URL again, to its end"
    account = "ss" in members or "srt" in members
    needed = ["sv", *(["ss", "srt"] if account else ["sr"])]
    if "si" not in members:  # a stored access policy may hold these
        needed += ["sp", "se"]
    delegated = not members.keys().isdisjoint(_DELEGATED)
    needed += _DELEGATED if delegated else ()
    missing = [name for name in needed if not members.get(name)]
    kind = "an account" if account else "a user delegation" if delegated else "a service"
    if missing == ["sr"] and not delegated:
        yield "sr is missing, or ss and srt if it is the SAS of an account; copy the URL again"
    elif missing:
        yield f"{' and '.join(missing)} of {kind} SAS {_are(missing)} missing; copy the URL again"


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _malformed(members: Mapping[str, str]) -> Iterator[str]:
    signature = members.get("sig", "").replace(" ", "+")  # a plus sign that was not percent-encoded
    if signature and not _is_signature(signature):
        if len(signature) < _SIGNATURE_CHARACTERS:
            yield (
                f"sig, the signature, is cut short: {len(signature)} of {_SIGNATURE_CHARACTERS} characters; "
                "copy the URL again"
            )
        else:
            yield f"sig is not a signature, which is {_SIGNATURE_CHARACTERS} characters of base64; copy the URL again"
    for name in _TIMES:
        if members.get(name) and utc(members[name]) is None:
            yield f"{name} is not a time, such as 2026-01-02T03:04:05Z; it was cut short or changed: copy the URL again"
    if members.get("sv") and utc(members["sv"]) is None:
        yield "sv is not a version, such as 2024-11-04; it was cut short or changed: copy the URL again"


def _is_signature(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _SIGNATURE_BYTES
    except (binascii.Error, ValueError):
        return False


def _contradictions(members: Mapping[str, str], location: str) -> Iterator[str]:
    starts, ends = utc(members.get("st", "")), utc(members.get("se", ""))
    if starts is not None and ends is not None and ends <= starts:
        yield "it ends (se) before it starts (st), so it is never valid; get a new one"
    if "si" not in members and members.get("sp") and not set(members["sp"]) & set("rwc"):
        yield "its permissions (sp) allow neither reading (r) nor writing (w, c); get one that does"
    if "ss" in members and members["ss"] and not set(members["ss"]) & set("bf"):
        yield "its services (ss) do not include blobs (b); get one that does"
    if members.get("srt") and "o" not in members["srt"]:
        yield "its resource types (srt) do not include objects (o); get one that does"
    if "sr" in members and ("ss" in members or "srt" in members):
        yield "it has sr of a service SAS and ss or srt of an account SAS; copy the URL again"
    if members.get("spr") == "https" and location.lower().startswith("http://"):
        yield "it allows only https (spr), and the location starts with http://"
