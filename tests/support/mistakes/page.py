"""Writes docs/mistakes.md: tables of common mistakes and their error messages."""

from __future__ import annotations

from servers import ROOT

from mistakes import Mistake, azure, commands, documents, gcs, https, keys, locations, members, s3, sftp

__all__ = ["PAGE", "TABLES", "WRITE", "written"]

PAGE = ROOT / "docs" / "mistakes.md"
WRITE = "CONNECTORS_WRITE_MISTAKES"
"""The environment variable under which the test writes the page."""

TABLES: dict[str, list[Mistake]] = {
    "Keys, encryption and credentials documents": [
        *keys.MISTAKES,
        *members.MISTAKES,
        *locations.MISTAKES,
        *documents.MISTAKES,
    ],
    "Presigned and public URLs": https.MISTAKES,
    "S3": s3.MISTAKES,
    "Azure": azure.MISTAKES,
    "Google Cloud Storage": gcs.MISTAKES,
    "SFTP": sftp.MISTAKES,
    "Commands and key files": commands.MISTAKES,
}
_HEAD = """# Common mistakes and their error messages

These are mistakes that people make, and the messages that `connectors dataset check`, the other commands and the SDK give
for them. Messages never repeat what may be secret. Long texts are shortened here with …
"""


def _code(text: str) -> str:
    """Return a text as code in a table's cell."""
    text = text.replace("|", "\\|").replace("\n", "↵")
    if not text.strip():
        return "(nothing)"
    fence = "``" if "`" in text else "`"
    inner = f" {text} " if "`" in text or text.strip() != text else text
    return f"{fence}{inner}{fence}"


def _prose(text: str | None) -> str:
    if text is None:
        return "accepted"
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def written() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, table in TABLES.items():
        rows = "".join(f"| {_code(one.typed)} | {_prose(one.message)} |\n" for one in table)
        parts.append(f"\n## {title}\n\n| you type | the message |\n|---|---|\n{rows}")
    return "".join(parts)
