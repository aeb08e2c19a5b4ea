"""Redirects by a store: nothing is sent to another host."""

from __future__ import annotations

from typing import Any

import pytest
from hostile import Answer, Request, hostile_server

import connectors
from connectors.errors import StorageError

TOKEN = "IQoJb3JpZ2luX2VjEXAMPLETOKEN"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("write", [False, True], ids=["read", "write"])
def test_redirect_is_not_followed(status: int, write: bool, document: dict[str, Any]) -> None:
    def redirect(request: Request) -> Answer:
        return Answer(status, {"Location": f"{elsewhere}{request.target}", "x-amz-bucket-region": "mars-north-1"})

    with hostile_server(lambda _: Answer(200)) as (elsewhere, seen_elsewhere), hostile_server(redirect) as (url, seen):
        dataset = connectors.Dataset("s3://clinic/key", {**document, "endpoint_url": url, "session_token": TOKEN})
        with pytest.raises(StorageError):
            dataset.write_bytes(b"37.2") if write else dataset.read_bytes()
        assert seen[0].headers["x-amz-security-token"] == TOKEN
        assert "/us-east-1/s3/aws4_request" in seen[0].headers["authorization"]
        assert len(seen) == 1
        assert seen_elsewhere == []
