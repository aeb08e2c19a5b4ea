"""Arbitrary input for parsers: hypothesis strategies, and settings that try the same examples in every run."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

__all__ = ["edited", "examples", "json_values", "names", "texts"]

WORDS = (
    "",
    " ",
    "..",
    ".",
    "/",
    "//",
    "a",
    "hunter2",
    "ward",
    "clinic",
    "\0",
    "\n",
    "\x7f",
    "\\",
    "%",
    "%2F",
    "%zz",
    "?",
    "#",
)
WORDS += (
    "@",
    ":",
    "é",
    "Süd",
    "\u202e",
    "\ud800",
    "\udfff",
    "\U0001f3e5",
    "[::1]",
    "[",
    "127.0.0.1",
    "localhost",
    "0",
    "-1",
)
WORDS += (
    "65536",
    "1e999",
    "nan",
    "true",
    "null",
    "aHVudGVyMg==",
    "5a" * 32,
    "SHA256:" + "a" * 43,
    "arn:aws:s3",
    "$root",
)
WORDS += ("file:///a", "https://h/x", "http://10.0.0.1", "s3", "az", "gcs", "core.windows.net", "ab" * 32, "x" * 300)


def examples(count: int) -> settings:
    """Try `count` examples, the same ones in every run."""
    return settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def texts() -> st.SearchStrategy[str]:
    """Text: any characters, lone surrogates included, and often words that are special to parsers."""
    letters = st.text(st.characters(min_codepoint=0, max_codepoint=0x10FFFF, categories=None), max_size=12)
    return st.lists(st.one_of(st.sampled_from(WORDS), letters), max_size=5).map("".join)


def names() -> st.SearchStrategy[str]:
    """Valid and invalid names of files and members."""
    return st.one_of(st.sampled_from(("input", "Klinik Süd", ".hidden", "a b", " a", "x" * 255, "x" * 256)), texts())


def json_values(*more: Any) -> st.SearchStrategy[Any]:
    """Any JSON value, often with values of `more`."""
    simple = [st.none(), st.booleans(), st.integers(), st.just(1 << 70), st.floats(allow_nan=True), texts()]
    if more:
        simple.append(st.sampled_from(more))
    return st.recursive(
        st.one_of(simple),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts(), inner, max_size=3),
        max_leaves=6,
    )


def edited(documents: list[dict[str, Any]], members: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents in which some members are replaced, dropped or added.

    Args:
        documents: valid ones.
        members: valid names of members.
    """
    values = [value for document in documents for value in document.values() if not isinstance(value, dict | list)]
    edit = st.tuples(st.one_of(st.sampled_from(members), names()), st.one_of(json_values(*values), st.just(...)))

    def apply(document: dict[str, Any], edits: list[tuple[str, Any]]) -> dict[str, Any]:
        changed = {**document, **dict(edits)}
        return {name: value for name, value in changed.items() if value is not ...}

    return st.builds(apply, st.sampled_from(documents), st.lists(edit, max_size=3))
