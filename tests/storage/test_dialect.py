"""Queries, headers of reads, and sizes that a store tells."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.storage import parse_xml, query_of, range_headers, size_of


@given(st.dictionaries(st.text(min_size=1), st.none() | st.text() | st.integers()))
def test_query_says_what_was_given_and_nothing_else(parameters: dict[str, str | int | None]) -> None:
    query = query_of(parameters)
    told = parse_qsl(query[1:], keep_blank_values=True, separator="&")
    assert told == [(name, str(value)) for name, value in parameters.items() if value is not None]
    assert query == "" or (query[0] == "?" and query.isascii() and not set(query[1:]) & set(" ?#/+"))


@pytest.mark.parametrize(
    ("span", "etag", "headers"),
    [
        (None, None, {}),
        ("bytes=0-1", None, {"Range": "bytes=0-1"}),
        ("bytes=0-1", '"a"', {"Range": "bytes=0-1", "If-Match": '"a"'}),
        (None, "a", {"If-Match": "a"}),
        (None, 'W/"a"', {}),
    ],
)
def test_weak_etag_is_no_condition(span: str | None, etag: str | None, headers: dict[str, str]) -> None:
    assert range_headers(span, etag) == headers


def test_sizes_are_whole_numbers() -> None:
    assert [size_of(one) for one in ("0", "00", 7, "9" * 18)] == [0, 0, 7, 10**18 - 1]
    for text in ("", None, "-1", -1, "1.0", 1.5, "1e3", float("inf"), True, " 1", "1\n", "٣", "9" * 19):
        with pytest.raises(ValueError, match="a size is missing or invalid"):
            size_of(text)


def test_another_document_is_no_listing() -> None:
    assert parse_xml(b"<List/>", "List").tag == "List"
    with pytest.raises(ValueError, match="it is another document"):
        parse_xml(b"<Error/>", "List")
