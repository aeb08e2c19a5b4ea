"""What CONTRIBUTING.md and docs/decisions say: paths and links exist, decisions are numbered, modules are short."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
INDEX = ROOT / "docs/decisions/README.md"
PAGES = [ROOT / "CONTRIBUTING.md", INDEX, *DECISIONS]
PATH = re.compile(r"(?<![\w/.-])(?:connectors|plugins|tests|docs|fuzz|benchmarks|examples|\.ci|\.github)/[\w./-]*")
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
PLACEHOLDERS = {"connectors/formats/NAME.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_paths_exist(page):
    text = re.sub(LINK, "]", page.read_text())
    named = {path.rstrip(".") for path in PATH.findall(text)} - PLACEHOLDERS
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = LINK.findall(page.read_text())
    assert [link for link in links if "://" not in link and not (page.parent / link).exists()] == []


def test_decisions_are_numbered_without_gaps():
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))


def test_the_index_lists_every_decision():
    assert sorted(LINK.findall(INDEX.read_text())) == [page.name for page in DECISIONS]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_decisions_have_the_three_parts(page):
    text = page.read_text()
    assert text.startswith(f"# {int(page.name[:4])}. ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no clone of the git repository")
def test_no_module_has_more_than_400_lines():
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = {name: len((ROOT / name).read_text().splitlines()) for name in listed.splitlines()}
    assert {name: count for name, count in lines.items() if count > 400} == {}
