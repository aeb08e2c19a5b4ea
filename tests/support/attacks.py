"""Counts the attacks that tests try and their outcomes, and compares the counts with docs/attacks.md.

A test opens a tally and tries its cases. Its counts must equal those on the page: ``make attacks`` lets the tests write
the page, and every other run checks it.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AREAS", "PAGE", "RIGHT", "ROOT", "Row", "Tally", "exists", "read_rows", "tally"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "attacks.md"
WRITE = "CONNECTORS_WRITE_ATTACKS"
"""The environment variable that lets tallies write the page; without it, they compare the page with their counts."""
RIGHT = "the right bytes"
"""The outcome of a read that returned all of the plain bytes."""
MARK = "<!-- tables: made by make attacks -->"

AREAS = {
    "formats": "Sealed bytes are changed",
    "storage": "The storage lies",
    "network": "The network breaks",
    "process": "The process dies, resources run out, writers compete",
    "parsers": "Parsers get arbitrary bytes",
    "secrets": "Secrets could leak",
}
"""The titles of the page's sections, by the word after ``test_`` in the names of the test files."""


class Row(NamedTuple):
    """One line of the page."""

    attack: str
    against: str
    cases: str
    outcome: str
    test: str

    @property
    def area(self) -> str:
        """The section of the page that it belongs to."""
        return re.sub(r".*/test_([a-z]+).*", r"\1", self.test)

    def line(self) -> str:
        """Return the row as a line of a Markdown table."""
        return f"| {self.attack} | {self.against} | {self.cases} | {self.outcome} | `{self.test}` |"


@dataclass
class Tally:
    """Counts the cases of one attack by outcome."""

    outcomes: Counter[str] = field(default_factory=Counter)

    def count(self, outcome: str, cases: int = 1) -> None:
        """Count cases that the test itself has checked; `outcome` is a few words, the same in every run."""
        self.outcomes[outcome] += cases

    def read(self, read: Callable[[], bytes], plain: bytes) -> str:
        """Try a read, and return its outcome: `RIGHT`, or the name of one of our errors; anything else fails the test."""
        try:
            data = read()
        except ConnectorError as error:
            outcome = type(error).__name__
        else:
            assert data == plain, "bytes that were never sealed were released"
            outcome = RIGHT
        self.count(outcome)
        return outcome

    def refused(self, attempt: Callable[[], object], *kinds: type[ConnectorError]) -> ConnectorError:
        """Check that an attempt fails with an error of one of `kinds`, or with any of our errors; return the error."""
        with pytest.raises(kinds or (ConnectorError,)) as caught:
            attempt()
        self.count(type(caught.value).__name__)
        return caught.value


@contextmanager
def tally(attack: str, against: str, test: str, *, outcome: str | None = None) -> Iterator[Tally]:
    """Count the cases of an attack, and compare the page with the count.

    Args:
        attack: a short description of the attack.
        against: a format, a storage, a parser.
        test: the test's file and name, joined by two colons.
        outcome: the outcome as the page shows it, for attacks whose outcomes depend on timing; by default, the outcomes
            are listed.
    """
    counted = Tally()
    yield counted
    cases = counted.outcomes.total()
    assert cases, "nothing was tried"
    row = Row(attack, against, f"{cases:,}", outcome or ", ".join(sorted(counted.outcomes)), test)
    assert row.area in AREAS, f"name the test's file after one of {', '.join(AREAS)}"
    if os.environ.get(WRITE):
        _write(row)
    else:
        assert row in read_rows(), f"docs/attacks.md lacks this row; run make attacks: {row.line()}"


def read_rows() -> list[Row]:
    """Return the rows of the page's tables."""
    found = (
        re.fullmatch(r"\| (.+?) \| (.+?) \| ([\d,]+) \| (.+?) \| `(.+?)` \|", line)
        for line in PAGE.read_text().splitlines()
    )
    return [Row(*one.groups()) for one in found if one]


def _write(row: Row) -> None:
    """Write a row into the page, replacing the row of the same attack; other tests may write at the same time."""
    with PAGE.open("r+") as page:
        fcntl.flock(page, fcntl.LOCK_EX)
        rows = {(one.attack, one.against): one for one in [*read_rows(), row] if exists(one.test)}
        text = page.read().split(MARK)[0] + MARK + "\n"
        for area, title in AREAS.items():
            lines = sorted((one for one in rows.values() if one.area == area), key=lambda one: (one.test, *one))
            if lines:
                text += f"\n## {title}\n\n| attack | against | cases | outcome | test |\n|---|---|---:|---|---|\n"
                text += "".join(f"{one.line()}\n" for one in lines)
        page.seek(0)
        page.write(text)
        page.truncate()


def exists(test: str) -> bool:
    """Tell whether a test exists, given its file and name, joined by two colons."""
    path, *names = test.split("::")
    file = ROOT / path
    return file.is_file() and all(re.search(rf"\b{name}\b", file.read_text()) for name in names)
