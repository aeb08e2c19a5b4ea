"""What a stranger types first: the demos, as they are shipped."""

from __future__ import annotations

import json

from command_line import connectors

from connectors.workflow.trust.verification import Bundle

ANSWER = {"count": "7758", "unique": "10", "top": "Viral sinusitis (disorder)", "freq": "1942"}


def answer(printed: str) -> dict[str, str]:
    """What stands in the table at the end."""
    lines = printed[printed.index("The application's answer") :].splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    return {row[0]: row[1] for row in cells if len(row) == 2}


def test_demo_ends_with_the_answer_and_leaves_nothing_behind(tmp_path):
    done = connectors("demo", cwd=tmp_path, TMPDIR=str(tmp_path), COLUMNS="200")
    assert (done.code, done.err) == (0, "")
    assert answer(done.text) == ANSWER
    assert list(tmp_path.iterdir()) == []


def test_demo_of_a_workflow_can_be_looked_at(tmp_path):
    done = connectors("demo", "--workflow", "--keep", "look", cwd=tmp_path, COLUMNS="200")
    assert (done.code, done.err) == (0, "")
    assert answer(done.text) == ANSWER
    refused = done.text.partition("The host tries to redirect the result")[2].partition("From the signed request")[0]
    assert "connectors: error: " in refused
    look = tmp_path / "look"
    assert look.stat().st_mode & 0o077 == 0
    assert Bundle.from_bytes((look / "approved.json").read_bytes()).request.graph.unfilled() == {}
    assert (look / "approved.svg").read_text().startswith("<svg")
    assert json.loads((look / "registry" / "result.json").read_text())["returncode"] == 0
    # A folder with something in it is not the demo's.
    again = connectors("demo", "--keep", "look", cwd=tmp_path)
    assert again.error() == "look is not empty; name an empty folder, or a new one"
