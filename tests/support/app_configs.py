"""App config folders for tests."""

from __future__ import annotations

import json

__all__ = ["KEY", "connect"]

KEY = "3f" * 32


def connect(root, port, name, location, document=None):
    folder = root / port / name / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(location + "\n")
    document = {"encryption": {"key": KEY}} if document is None else document
    text = document if isinstance(document, str) else json.dumps(document)
    (folder / "credentials.bin").write_text(text)
    return folder
