"""Every claim of SECURITY.md names tests, and every test that is named is there."""

from __future__ import annotations

import re

import attacks
import pytest

PAGE = (attacks.ROOT / "SECURITY.md").read_text()
CLAIMS = [
    line for line in PAGE.split("## What is promised")[1].split("\n## ")[0].splitlines() if line.startswith("| ")
][1:]
NAMED = sorted(set(re.findall(r"`((?:tests|plugins)/[\w/.:]+)`", PAGE)) | {row.test for row in attacks.read_rows()})


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[2:50])
def test_claim_names_its_tests(claim):
    assert re.search(r"`(tests|plugins)/[\w/.:]+`", claim)


@pytest.mark.parametrize("test", NAMED)
def test_that_is_named_is_there(test):
    assert attacks.exists(test)


def test_every_row_of_attacks_has_an_area():
    assert {row.area for row in attacks.read_rows()} <= attacks.AREAS.keys()
