"""A store that answers with a redirect: nobody else is sent anything."""

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
        # Once: botocore asks whoever redirects for its region, and would ask for ever.
        return Answer(403) if request.number else Answer(status, {"Location": f"{elsewhere}/clinic/key"})

    with hostile_server(lambda _: Answer(200)) as (elsewhere, heard), hostile_server(redirect) as (url, asked):
        dataset = connectors.Dataset("s3://clinic/key", {**document, "endpoint_url": url, "session_token": TOKEN})
        with pytest.raises(StorageError):
            dataset.write_bytes(b"37.2") if write else dataset.read_bytes()
        assert asked[0].headers["x-amz-security-token"] == TOKEN
        assert heard == []
