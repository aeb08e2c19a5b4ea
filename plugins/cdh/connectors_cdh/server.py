"""The dialect of the API server in the guest: one request, and what its statuses mean.

Source: https://github.com/confidential-containers/guest-components, api-server-rest/openapi/api.json and src/router.rs.
"""

from __future__ import annotations

import importlib.metadata
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from connectors.errors import KeyUnavailable
from connectors.secrets import Hidden, SecretText
from connectors.storage import Failure, HttpClient, KeyServer, Origin, Request, Unsigned

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.storage import Action, Headers
    from connectors_cdh.reference import ResourceReference

__all__ = ["DataHub"]

_CLIENT = HttpClient(f"enclave-connectors-cdh/{importlib.metadata.version('enclave-connectors-cdh')}")
_CODES: dict[int, str] = {
    HTTPStatus.FORBIDDEN: "NotLoopback",
    HTTPStatus.NOT_FOUND: "NotServed",
}
"""What the statuses are called here: the server has no codes."""


class DataHub(KeyServer):
    """The Confidential Data Hub, through the API server of the guest."""

    name = "Confidential Data Hub"
    patience = 60.0  # it attests the guest before it answers
    reasons: ClassVar[Mapping[str, str]] = {
        "NotLoopback": "it serves this guest's loopback interface only; check the address and the network namespace",
        "NotServed": "it serves no resources; start the guest with agent.guest_components_rest_api=resource, or =all",
    }

    def __init__(self) -> None:
        super().__init__(_CLIENT, Unsigned())

    def resource(self, reference: ResourceReference) -> Hidden:
        """Return the bytes of a resource."""
        base = urlsplit(reference.address).path.rstrip("/")
        target = SecretText(f"{base}/cdh/resource/{reference.resource}")
        request = Request("GET", Origin.of(reference.address), target, {"Accept": "application/octet-stream"})
        return Hidden(self.get(request, reference.shown, "give"))

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002 - its texts are not read
        """Return what a status is called."""
        return _CODES.get(status, "")

    def refusal(self, status: int, code: str, path: str, action: Action, headers: Headers | None = None) -> Failure:
        """Return the failure that an error response means: of 500, an outage, since a refusal cannot be told from one.

        The server sends 500 with the text of any error below it, which says only that the resource was not got.
        """
        failure = super().refusal(status, code, path, action, headers)
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return failure
        message = (
            f"the {self.name} does not give {path} ({status}): attestation failed, or the key broker's policy refuses "
            "the resource, or it has none of that name, or it cannot be reached; the logs of the hub and the broker "
            "say which"
        )
        return Failure(KeyUnavailable(message), failure.transient, failure.pause, status, code)
