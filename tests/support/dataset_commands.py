"""What the tests of commands on datasets share: plain bytes, documents, and messages."""

from __future__ import annotations

import json
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path

__all__ = ["PLAIN", "document", "mistake", "query"]

PLAIN = b"START,PATIENT,DESCRIPTION\n" + b"2020-01-02,patient-1,Hypertension\n" * 2000


def document(path: Path, **members: object) -> Path:
    path.write_text(json.dumps(members))
    return path


def query(seconds: int) -> str:
    import base64  # noqa: PLC0415

    signed = datetime.now(UTC) - timedelta(seconds=10)
    text = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F{signed:%Y%m%d}%2Feu-west-1%2Fs3%2Faws4_request"
        f"&X-Amz-Date={signed:%Y%m%dT%H%M%SZ}&X-Amz-Expires={seconds + 10}&X-Amz-SignedHeaders=host"
        f"&X-Amz-Signature={'5ec2e7' * 10}5ec2"
    )
    return base64.b64encode(text.encode()).decode()


def mistake(done: types.SimpleNamespace) -> str:
    assert done.out == b""
    assert done.err.startswith("connectors: error: ")
    assert done.err.count("\n") == 1
    return done.err.removeprefix("connectors: error: ").rstrip()
