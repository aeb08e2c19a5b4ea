"""docs/mistakes.md: the tables of mistakes, for those who have made one."""

from __future__ import annotations

from servers import ROOT

from mistakes import Mistake, azure, commands, core, gcs, https, s3, sftp

__all__ = ["PAGE", "TABLES", "WRITE", "written"]

PAGE = ROOT / "docs" / "mistakes.md"
WRITE = "CONNECTORS_WRITE_MISTAKES"
"""The environment variable under which the test writes the page."""

TABLES: dict[str, list[Mistake]] = {
    "Keys, encryption, and documents in general": core.MISTAKES,
    "URLs, presigned and open": https.MISTAKES,
    "S3": s3.MISTAKES,
    "Azure": azure.MISTAKES,
    "Google Cloud Storage": gcs.MISTAKES,
    "SFTP": sftp.MISTAKES,
    "Commands and key files": commands.MISTAKES,
}
_HEAD = """# Mistakes, and what is said about them

What people type wrong, and what `connectors dataset check`, the other commands and the SDK say then. Nothing that may be
secret is repeated. Long texts are cut here: …
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
        return "taken"
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_")


def written() -> str:
    """Return the page."""
    parts = [_HEAD]
    for title, table in TABLES.items():
        rows = "".join(f"| {_code(one.typed)} | {_prose(one.message)} |\n" for one in table)
        parts.append(f"\n## {title}\n\n| what you typed | what it says |\n|---|---|\n{rows}")
    return "".join(parts)
