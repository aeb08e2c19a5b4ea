"""Names and text of strangers: what names a folder, and how text is shown so that it deceives nobody."""

from __future__ import annotations

import ast
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.names import is_safe_name, printable, quoted, steering, without_invisible

PERSIAN = "می\u200cخواهم"  # "I want": the non-joiner keeps its two parts apart
SINHALA = "ශ්\u200dරී"  # "Sri": the joiner makes one letter of two
BIDI = [*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x2070))]
CONTROLS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"]
INVISIBLE = "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b\u180e\u180f\u200b\u2060\u3164\ufe00\ufe0f\ufeff\uffa0\ufff0"
INVISIBLE += "\U0001bca0\U0001d173\U000e0001\U000e0041\U000e0100\U000e01ef"


@pytest.mark.parametrize("letter", [*CONTROLS, *BIDI], ids=ascii)
def test_what_steers_is_refused_in_names_and_escaped(letter):
    name = f"a{letter}b"
    assert steering(name)
    assert not is_safe_name(name)
    assert printable(name).isascii()
    assert printable(name).isprintable()


def test_all_that_has_a_direction_and_shows_nothing_steers():
    directions = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    found = [chr(code) for code in range(sys.maxunicode) if unicodedata.bidirectional(chr(code)) in directions]
    assert found
    assert all(map(steering, found))


@pytest.mark.parametrize("letter", INVISIBLE, ids=ascii)
def test_what_shows_nothing_is_made_visible(letter):
    assert printable(f"a{letter}b") == f"a{ascii(letter)[1:-1]}b"
    assert without_invisible(f"a{letter}b") == "ab"


@pytest.mark.parametrize("text", [PERSIAN, SINHALA, "Klinik Süd", "病院 第三", "Больница №5", "עברית", "L’Hôpital"])
def test_languages_are_shown_as_they_are_written(text):
    assert printable(text) == text
    assert text in quoted(text)
    assert is_safe_name(text)


@pytest.mark.parametrize(
    "text", ["a\u200cb", "\u200dx", "ma\u200dny", "\u0627\u200c", "病\u200c院", "\U0001f600\u200d"]
)
def test_joiners_elsewhere_are_made_visible(text):
    assert printable(text) != text
    assert without_invisible(printable(text)) == printable(text)


def test_a_long_text_full_of_joiners_is_no_work():
    assert len(printable("\u200c" * 100_000)) == 600_000


@settings(deadline=None, derandomize=True, database=None)
@given(st.text(st.characters(min_codepoint=0x20)) | st.text("a'\"\\\u200b\u2019\u0301é\x1b", max_size=6))
def test_quotes_hold_exactly_the_text(text):
    told = quoted(text)
    assert ast.literal_eval(told) == text
    assert printable(told) == told
    assert told.isascii() or not unicodedata.category(told[1]).startswith("M")


def test_what_looks_like_the_end_of_a_quotation_stands_in_other_quotes_or_is_escaped():
    assert quoted("L’Hôpital") == '"L’Hôpital"'
    assert quoted("„Süd“") == "'„Süd“'"
    assert quoted("A’ and ‘B’ (both) ”") == r"'A\u2019 and \u2018B\u2019 (both) ”'"
    assert quoted("Aꞌ and ꞌB") == '"Aꞌ and ꞌB"'


def test_no_run_of_spaces_begins_a_line_or_column_of_its_own():
    for text in ("data@clinic.example".ljust(70) + "digest  ab", "  a", "é  b"):
        assert "  " not in quoted(text)
        assert ast.literal_eval(quoted(text)) == text
