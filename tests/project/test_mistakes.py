"""What people type wrong, and what they are told: to the letter, and without what may be secret."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from mistakes import KEY, Mistake
from mistakes.page import PAGE, TABLES, WRITE, written

from connectors.cli import main
from connectors.cli.data.inspection import inspect_document

ROWS = [pytest.param(one, id=f"{name}-{number}") for name, table in TABLES.items() for number, one in enumerate(table)]


def lay(folder: Path, mistake: Mistake) -> None:
    """Put the files into a folder that a command finds there: some that are right, and the mistake's own."""
    (folder / "key.hex").write_text(KEY)
    (folder / "plain").write_bytes(b"37.2")
    (folder / "credentials.json").write_text(json.dumps({"encryption": {"key": KEY}}))
    (folder / "owner.json").write_text(
        json.dumps(
            {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "wJalrXUtnFEMI-K7MDENG", "region": "eu-west-1"}
        )
    )
    for port, name in (("input", "conditions"), ("output", "result")):
        dataset = folder / "app" / port / name / "dataset"
        dataset.mkdir(parents=True)
        (dataset / "location.txt").write_text((folder / name).as_uri())
        (dataset / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY}}))
    for name, data in mistake.files:
        (folder / name).write_bytes(data)


@pytest.fixture
def said(tmp_path, monkeypatch, capfd):
    """Make a mistake; return what is said, None if nothing is. The folder of commands is called /home/anna."""

    def said(mistake: Mistake) -> str | None:
        if not mistake.words:
            found = inspect_document("credentials.json", mistake.document, mistake.location)
            return "; ".join(found.problems) or None
        lay(tmp_path, mistake)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("CONNECTORS_APP_CONFIG", "app")
        monkeypatch.delenv("CONNECTORS_DEBUG", raising=False)
        code = main(mistake.words)
        printed, message = capfd.readouterr()
        assert (code, printed) in ((0, ""), (2, ""))
        assert message.count("\n") == (code > 0)
        return message.removeprefix("connectors: error: ").rstrip("\n").replace(str(tmp_path), "/home/anna") or None

    return said


@pytest.mark.parametrize("mistake", ROWS)
def test_mistake_is_told_so(mistake, said):
    message = said(mistake)
    assert message == mistake.message
    for secret in mistake.secrets:
        assert secret not in (message or "")


def test_there_are_many_and_the_page_shows_them_all():
    rows = [one for table in TABLES.values() for one in table]
    assert len(rows) >= 120
    assert len({(one.location, one.document, one.words, one.files) for one in rows}) == len(rows)
    text = written()
    if os.environ.get(WRITE):
        PAGE.write_text(text)
    assert PAGE.read_text() == text, f"set {WRITE}=1 to have this test write the page"
