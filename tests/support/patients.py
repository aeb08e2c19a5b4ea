"""The main job on Synthea's conditions: what its answer is, and URLs that are used as anybody would use them."""

from __future__ import annotations

import urllib.request

from patience import PATIENCE

__all__ = ["ANSWER", "get", "put", "table"]

ANSWER = {"count": "8376", "unique": "129", "top": "Viral sinusitis (disorder)", "freq": "1248"}


def table(printed: str) -> dict[str, str]:
    """Return what an application that describes the conditions has printed."""
    pairs = (line.partition(" ")[::2] for line in printed.splitlines())
    return {name: value.strip() for name, value in pairs if name in ANSWER}


def put(url: str, data: bytes) -> None:
    """Store bytes by a presigned URL."""
    with urllib.request.urlopen(urllib.request.Request(url, data, method="PUT"), timeout=PATIENCE) as answer:
        assert answer.status == 200


def get(url: str) -> bytes:
    """Return what lies behind a presigned URL."""
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        data: bytes = answer.read()
        return data
