"""What a forked child does with the sink of its parent."""

from __future__ import annotations

from typing import Any

from connectors.errors import ConnectorError

__all__ = ["use"]


def use(sink: Any) -> str:
    """Discard a sink, write to it, and return the error's message, or "written"."""
    sink.discard()
    try:
        sink.write(memoryview(b"x"))
    except ConnectorError as error:
        return str(error)
    return "written"
