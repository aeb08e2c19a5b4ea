"""The search for marked secrets finds them: else it shows nothing that it finds none."""

from __future__ import annotations

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from canaries import PART, Canaries

KEY = bytes(range(160, 192))
TEXT = 'wJalr/XUtn+FEMI=K7 "MDENG" bPxRfiCYEXä'
MARKS = Canaries({"key": KEY, "text": TEXT})


SPELLINGS = {
    "as it is": lambda data: data,
    "hex": bytes.hex,
    "HEX": lambda data: data.hex().upper(),
    "dump": lambda data: "\n".join(data[at : at + 16].hex(" ") for at in range(0, len(data), 16)),
    "base64": base64.b64encode,
    "base64 for URLs": base64.urlsafe_b64encode,
    "base64 without padding": lambda data: base64.b64encode(data).rstrip(b"="),
    "base64 in lines": base64.encodebytes,
    "percent": quote,
    "percent in small letters": lambda data: re.sub("%..", lambda one: one[0].lower(), quote(data, safe="")),
    "percent twice": lambda data: quote_plus(quote_plus(data)),
    "JSON": lambda data: json.dumps(data.decode("latin-1")),
    "repr": repr,
    "list": lambda data: repr(list(data)),
    "array": bytearray.__repr__,
    "part": lambda data: repr(data[7 : 7 + PART]),
}


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
@pytest.mark.parametrize("after", ["", "z", "zy"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_is_found_however_it_is_spelt(spelling, before, after):
    for mark, name in ((KEY, "key"), (TEXT.encode(), "text")):
        data = before.encode() + mark + after.encode()
        shown = SPELLINGS[spelling](bytearray(data) if spelling == "array" else data)
        assert any(found.startswith(f"{name}, ") for found in MARKS.found_in(shown)), shown


def test_number_of_a_key_is_found():
    assert MARKS.found_in(f"d = {int.from_bytes(KEY)}") == {"key, as a number"}


def test_parts_are_found_from_twelve_characters_on():
    assert MARKS.found_in(f"…{KEY.hex()[20:32]}…")
    assert MARKS.found_in(f"…{TEXT[5:17]}…")
    assert not MARKS.found_in(f"…{KEY.hex()[20:31]}…")


def test_nothing_is_found_where_nothing_is():
    assert not MARKS.found_in(bytes(range(256)) * 4 if KEY not in bytes(range(256)) else bytes(range(150)) * 8)
    assert not MARKS.found_in("The quick brown fox jumps over the lazy dog. " * 100)


def test_failure_names_the_mark_and_its_place():
    with pytest.raises(AssertionError, match=r"the logs contain the key, in hexadecimal: b'before a0a1"):
        MARKS.check("the logs", ["clean", f"before {KEY.hex()}"])
