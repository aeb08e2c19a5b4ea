"""The documents of the key source ``gcp-kms``: the key that wraps, and who logs in to use it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from connectors.keys import KeyReference, Wrapped
from connectors.storage import Way, checked, endpoint_problem, exactly_one_way, is_loopback, matching
from connectors_gcs.login import GoogleLogin

if TYPE_CHECKING:
    from typing import Self

__all__ = ["KMS", "KmsReference", "KmsWrapping"]

KMS = "https://cloudkms.googleapis.com"
"""The service's own endpoint."""
_GOOGLE = ".googleapis.com"
_WAYS = tuple(Way((name,)) for name in ("service_account", "token", "ambient"))
_ID = r"[A-Za-z0-9_-]{1,63}"
_KEY_NAME = re.compile(
    rf"projects/[a-z0-9][a-z0-9.:-]{{0,99}}/locations/[a-z0-9-]{{1,63}}/keyRings/{_ID}/cryptoKeys/{_ID}", re.ASCII
)
_NO_NAME = "not the resource name of a key, such as projects/clinic/locations/europe-west1/keyRings/data/cryptoKeys/lab"
_MOST_CONTEXT = 4096
"""Bytes of a context; keys in HSMs take 8 KiB of plaintext and context together."""


def _endpoint_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example=KMS)
    if problem is not None:
        return problem
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    genuine = parts.scheme == "https" and host.endswith(_GOOGLE) and parts.port in (None, 443)
    if parts.path.strip("/") or not (genuine or is_loopback(host)):
        return (
            f"tokens are sent there, so only https:// to a host below {_GOOGLE[1:]}, without a path, or a test server "
            "on this machine"
        )
    return None


def _context_problem(context: str) -> str | None:
    try:
        size = len(context.encode())
    except UnicodeEncodeError:
        return "it contains half of a surrogate pair"
    if not size:
        return "empty; leave it out if there is none"
    return f"a context has at most {_MOST_CONTEXT} bytes" if size > _MOST_CONTEXT else None


class KmsWrapping(GoogleLogin, KeyReference):
    """The key that wraps, and who logs in to use it."""

    source: Literal["gcp-kms"] = "gcp-kms"
    key_name: Annotated[str, matching(_KEY_NAME, _NO_NAME)] = Field(
        description="The wrapping key: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY."
    )
    context: Annotated[str, checked(_context_problem)] | None = Field(
        default=None,
        description=(
            "Text that the wrapped key is bound to, such as the dataset's name: only with the same text is it "
            "unwrapped. Google calls it additional authenticated data; it is not secret."
        ),
    )
    endpoint_url: Annotated[str, checked(_endpoint_problem)] | None = Field(
        default=None,
        description=(
            "URL of a private or regional endpoint of Google, or of a test server on this machine, not with ambient."
        ),
    )

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        host = urlsplit(self.endpoint_url or KMS).hostname or ""
        problem = exactly_one_way(self, _WAYS) or self.token_uri_problem(elsewhere=is_loopback(host))
        if problem is None and self.ambient and is_loopback(host):
            problem = "endpoint_url: a test server gets no token of this machine's identity; give it one in token"
        if problem is not None:
            raise ValueError(problem)
        return self


class KmsReference(KmsWrapping):
    """A key wrapped under a key in Google Cloud KMS."""

    wrapped: Wrapped = Field(description="The key, wrapped by the service, in base64.")
