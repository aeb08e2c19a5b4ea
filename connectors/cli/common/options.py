"""Options that several verbs share."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AllowEmpty", "AppConfigFolder", "AsJson", "Force", "example"]

AppConfigFolder = Annotated[
    str | None,
    typer.Option(
        "--app-config", metavar="DIR", help="The app config folder; default: $CONNECTORS_APP_CONFIG, or the enclave's."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Accept empty standard input, or an empty pipe.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing file.")]


def example(*commands: str) -> str:
    """Return the end of a verb's help: examples, one per line, which are never wrapped."""
    lines = "\n".join(f"  connectors {command}" for command in commands)
    # Click does not wrap the paragraph after a line that holds only a backspace.
    return f"\b\nExample:\n{lines}"
