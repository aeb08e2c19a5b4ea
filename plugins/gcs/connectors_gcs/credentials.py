"""The model of the credentials document of a dataset in Google Cloud Storage.

For example::

{"type": "gcs", "service_account": {"type": "service_account", "client_email": "…", "private_key": "…", …},
 "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.storage import BucketCredentials, Way, is_loopback, matching
from connectors_gcs.login import GoogleLogin

__all__ = ["GcsCredentials"]

_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")


class GcsCredentials(GoogleLogin, BucketCredentials):
    """Credentials: a service account, a token, none for a public object, or those that the machine provides.

    `expires_at` is None: an access token expires, but does not say when.
    """

    ways: ClassVar[tuple[Way, ...]] = tuple(
        Way((name,)) for name in ("service_account", "token", "anonymous", "ambient")
    )
    missing: ClassVar[str] = "service_account or token is missing"

    type: Literal["gcs"] = "gcs"
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an emulator or private endpoint; null for Google. http:// only for a loopback address.",
    )
    project: Annotated[str, matching(_PROJECT, "not a project's id, such as clinic-data-4711")] | None = Field(
        default=None,
        description="The project that is billed for requests if requester_pays; null for the service account's.",
    )
    requester_pays: bool = Field(
        default=False, strict=True, description="Bill requests to the project, for a bucket whose requesters pay."
    )

    @classmethod
    def endpoint_problem(cls, url: str) -> str | None:
        """Return what is wrong with the URL of an endpoint, without quoting any of it, or None."""
        problem = super().endpoint_problem(url)
        if problem is None and urlsplit(url).path.strip("/"):
            return "an endpoint has no path, only a scheme, a host and a port"
        return problem

    def contradiction(self) -> str | None:
        """Return what is wrong with the project that is billed, or with where tokens come from, or None."""
        if self.requester_pays and not self.billed_project:
            return "requester_pays needs a project to bill"
        if self.requester_pays and self.anonymous:
            return "requester_pays does not go with anonymous: an anonymous request cannot be billed"
        if self.ambient and self.endpoint_url is not None and not _is_google_or_here(self.endpoint_url):
            return (
                "endpoint_url: the token of this machine's login is sent only to hosts below googleapis.com; leave "
                "endpoint_url out, or log in with a service_account or a token of the document"
            )
        return self.token_uri_problem(elsewhere=self.endpoint_url is not None, allow_http=self.allow_http)

    @property
    def billed_project(self) -> str | None:
        """The project that is billed for requests, or None if the bucket's owner pays."""
        if not self.requester_pays:
            return None
        return self.project or (self.service_account.project_id if self.service_account else None)


def _is_google_or_here(url: str) -> bool:
    """Return whether a URL's host is Google's, or this machine, as that of an emulator."""
    host = urlsplit(url).hostname or ""
    return host.endswith(".googleapis.com") or is_loopback(host)
