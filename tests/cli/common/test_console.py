"""What is printed: a stranger's text cannot steer a terminal."""

from __future__ import annotations

import json

import pytest

from connectors.cli.common import console
from connectors.cli.workflow import context

STEERING = ["\x1b[2J", "\x7f", "\x9b2J", "\u202ey", "\u2066y", "\u200f", "\u2028", "\ufeff", "\U000e0041"]


@pytest.mark.parametrize("text", STEERING)
def test_json_is_escaped_and_means_the_same(text, capsys):
    value = {f"Größe {text}": [text, {"a": f"x{text}"}], "名": "Ä"}
    console.print_json(value)
    out = capsys.readouterr().out
    assert all(letter.isprintable() or letter == "\n" for letter in out)
    assert json.loads(out) == value
    assert "Größe" in out
    assert "名" in out


@pytest.mark.parametrize("text", STEERING)
def test_prompts_are_escaped(text, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    asked = []
    monkeypatch.setattr(context.typer, "confirm", lambda question, **_: asked.append(question) or True)
    context.confirm(f"Sign this as {text}?", yes=False)
    (question,) = asked
    assert question.isprintable()
    assert question.startswith("Sign this as \\")
    assert capsys.readouterr().out == ""
