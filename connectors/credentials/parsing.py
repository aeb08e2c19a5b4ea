"""Parse the JSON of a credentials document, with helpful errors for documents edited by hand.

The errors give the position and what to do about it, but never quote the text, as JSON's own errors do.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from connectors.errors import InvalidCredentials
from connectors.models import printable_name
from connectors.secrets import Hidden

__all__ = ["parse_document", "printable_name"]


def parse_document(data: bytes | str | Mapping[str, Any] | Hidden) -> dict[str, Any]:
    """Return a credentials document as a dictionary, not yet validated by a backend.

    Raises:
        InvalidCredentials: it is not UTF-8, not JSON, not an object, or names a member twice.
    """
    data = Hidden(data)
    members, problem = _members(data.reveal())
    if problem is not None:
        message = f"the credentials are not a valid document: {problem}"
        raise InvalidCredentials(message)
    return members


def _members(data: object) -> tuple[dict[str, Any], str | None]:
    """Return the members of a document, and the problem with it or None."""
    problem = None
    if isinstance(data, (bytes, bytearray, str)):
        data, problem = _parse_json(data)
    if problem is None and isinstance(data, Mapping):
        return dict(data), None
    return {}, problem or f"a JSON object, in braces, is expected, not {_json_type(data)}"


def _parse_json(data: bytes | bytearray | str) -> tuple[Any, str | None]:
    """Return the parsed document, and the problem with it or None, without quoting the text."""
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counted = Counter(name for name, _ in pairs)
        twice.extend(name for name, count in counted.items() if count > 1)
        return dict(pairs)

    try:
        text = (data if isinstance(data, str) else data.decode()).removeprefix("\ufeff")
        parsed = json.loads(text, object_pairs_hook=unique)
        json.dumps(parsed, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        utf16 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        problem = f"it is {'UTF-16' if utf16 else 'not UTF-8'} text; save it as UTF-8"
    except UnicodeEncodeError:
        problem = "it contains half of a surrogate pair, an escape from \\ud800 to \\udfff"
    except json.JSONDecodeError as error:
        problem = _json_problem(error)
    except RecursionError:
        problem = "it is nested too deeply"
    except ValueError:  # Python limits the digits of a number
        problem = "a number in it is too long"
    else:
        return parsed, f"a member appears twice: {printable_name(twice[0])}" if twice else None
    return None, problem


_JSON_PROBLEMS = (
    # The text at the error's position, the text before it, and the explanation.
    (r"[}\]]", r",", "a comma before a closing brace is not allowed; remove it"),
    (r",\s*[}\]]", r"", "a comma before a closing brace is not allowed; remove it"),
    (r"[“”„‘’«»]", r"", 'these are typographic quotation marks; JSON uses "'),  # noqa: RUF001
    (r"'", r"", "JSON uses double quotation marks, not single ones"),
    (r"/|#", r"", "JSON has no comments; leave them out"),
    (r"(?i:none|true|false|null)", r"", "null, true and false must be in lower case"),
    (r"[A-Za-z]", r"[:\[,]\s*-?[0-9]+", "text must be in double quotation marks"),
    (r"\xa0", r"", "this is a no-break space; replace it with a plain one"),
)


def _json_problem(error: json.JSONDecodeError) -> str:
    """Return what is wrong with invalid JSON, and where: the same for every version of Python."""
    text, place = error.doc, error.pos
    if not text.strip():
        return "it is empty"
    if not text.lstrip().startswith(("{", "[")):
        return "it is not JSON, which begins with a brace: {"
    before = text[:place].rstrip()
    reason = next(
        (
            what
            for here, after, what in _JSON_PROBLEMS
            if re.match(here, text[place:]) and re.search(f"(?:{after})$", before)
        ),
        "",
    )
    if reason.startswith("a comma") and before.endswith(","):
        place = len(before) - 1
    reason = reason or _plain_reason(error.msg, at_end=not text[place:].strip())
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    return f"not JSON at line {line}, column {column}: {reason}"


def _plain_reason(message: str, *, at_end: bool) -> str:
    told = {
        "Expecting ',' delimiter": "a comma is missing",
        "Expecting ':' delimiter": "a colon is missing",
        "Expecting property name enclosed in double quotes": "a name in double quotation marks is expected",
        "Extra data": "there is text after the last brace",
        "Invalid \\escape": "a backslash in text must be written twice",
        "Invalid control character at": "text contains a line break or a tab; write \\n or \\t",
        "Unterminated string starting at": "this text has no closing quotation mark",
    }
    for beginning, reason in told.items():
        if message.startswith(beginning) and not (at_end and beginning.startswith("Expecting")):
            return reason
    return "the end is missing" if at_end else "text in quotation marks, a number, null, true or false is expected"


def _json_type(value: object) -> str:
    return {list: "an array", str: "a string", type(None): "null", bool: "true or false"}.get(type(value), "a number")
