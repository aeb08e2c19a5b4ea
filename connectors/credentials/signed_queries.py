"""Finds damage in the queries of signed URLs: a lost ampersand, a wrong separator, an encoding that was applied twice.

Queries are copied through shells, chats, HTML and JSON, each of which damages them in its own way. What is returned
here quotes only names of parameters that the caller knows, and never a value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

__all__ = ["query_damage", "query_members"]

_AGAIN = "copy the URL again"
_ENCODED_TWICE = re.compile(r"%25[0-9A-Fa-f]{2}")


def query_members(query: str) -> dict[str, str]:
    """Return the query's parameters by lower-case name; of a repeated name, the first.

    >>> query_members("?sp=r&SE=2026-01-02&sp=w")
    {'sp': 'r', 'se': '2026-01-02'}
    """
    members: dict[str, str] = {}
    for name, value in parse_qsl(query.removeprefix("?"), keep_blank_values=True):
        members.setdefault(name.lower(), value)
    return members


def query_damage(query: str, names: Collection[str]) -> tuple[str, ...]:
    """Return what happened to a signed query on its way, in sentences without any of its values.

    Args:
        query: the query, with or without its question mark.
        names: the names of the parameters that the signature consists of, as their vendor writes them.

    >>> query_damage("sp=rsig=0a", ["sp", "sig"])
    ('the & before sig was lost; copy the URL again',)
    """
    query = query.removeprefix("?")
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    whole = _damage_of_all(query, known)
    return (whole,) if whole else tuple(_damage_of_members(query, known))


def _damage_of_all(query: str, known: str) -> str | None:
    if re.search(rf"\\u0026(?:{known})=", query):
        return rf"it was copied from JSON, with \u0026 in place of &; {_AGAIN}"
    if re.search(rf"&amp;(?:{known})=", query):
        return f"it was copied from HTML, with &amp; in place of &; {_AGAIN}"
    if "=" not in query and re.search(rf"(?:\A|%(?:25)*26)(?:{known})%(?:25)*3D", query):
        return f"it is percent-encoded as a whole, with %26 in place of &; {_AGAIN}"
    if re.search(rf";(?:{known})=", query):
        return f"its parameters are separated by ; instead of &; {_AGAIN}"
    return None


def _damage_of_members(query: str, known: str) -> Iterator[str]:
    # Base64 may end in '=' that is not percent-encoded, so something must follow that cannot belong to it.
    inside = re.compile(rf"({known})=(?=[^=&])")
    lost: list[str] = []
    seen: dict[str, int] = {}
    encoded: list[str] = []
    canonical = {name.lower(): name for name in re.sub(r"\\(.)", r"\1", known).split("|")}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        lost += inside.findall(value)
        shown = canonical.get(name.lower())
        if shown is None:
            continue
        seen[shown] = seen.get(shown, 0) + 1
        if _ENCODED_TWICE.search(value):
            encoded.append(shown)
    if lost:
        yield f"the & before {', '.join(dict.fromkeys(lost))} was lost; {_AGAIN}"
    if encoded:
        yield f"it is percent-encoded twice, with %25 in place of % in {', '.join(encoded)}; {_AGAIN}"
    repeated = [name for name, times in seen.items() if times > 1]
    if repeated:
        yield f"it has {', '.join(repeated)} more than once; {_AGAIN}"
