"""Which host and path a bucket's requests go to: Amazon S3 User Guide, "Virtual hosting of buckets" and "Endpoints"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from connectors.errors import ConfigError, NotSupported
from connectors.storage import Origin
from connectors_s3.regions import host_of, is_amazon, region_problem
from connectors_s3.sessions import DEFAULT_REGION, configured_endpoint, region

if TYPE_CHECKING:
    from typing import Any

    from connectors.storage import Headers
    from connectors_s3.credentials import S3Credentials

__all__ = ["Hosts"]

_IN_HOST = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
"""Names of buckets that a host can hold: a dot would not be covered by the certificate."""
_IN_HTTP_HOST = re.compile(
    r"(?![0-9]+(\.[0-9]+){3}$)(?=.{3,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
)
"""The same without a certificate, at an http:// endpoint."""
_OTHER_KINDS = {
    "--x-s3": "a directory bucket (S3 Express One Zone)",
    "--xa-s3": "an access point of a directory bucket (S3 Express One Zone)",
    "--op-s3": "an access point of S3 on Outposts",
}
"""The ends of names that Amazon reserves for what needs other hosts, signatures and sessions: Amazon S3 User Guide,
"General purpose bucket naming rules"."""
_CREATE_EXCLUSIVELY = ("AmazonS3", "MinIO")
"""The starts of the Server header of software that refuses a write with `If-None-Match: *` if the object exists."""
_R2 = ".r2.cloudflarestorage.com"
"""The end of the hosts of Cloudflare R2, which does so too."""


class Hosts:
    """The hosts of one account's buckets.

    Args:
        credentials: the account's.
        session: botocore's session, which is asked for an endpoint only if the credentials are ambient.
    """

    def __init__(self, credentials: S3Credentials, session: Any) -> None:
        self.endpoint = credentials.endpoint_url
        self.region = region(credentials)
        if credentials.ambient:
            if self.region is None:
                self.region = session.get_config_variable("region")
                if (wrong := region_problem(self.region, "s3", "endpoint_url")) is not None:
                    message = f"the region in this machine's configuration for AWS: {wrong}"
                    raise ConfigError(message)
            self.endpoint = self.endpoint or _configured_endpoint(session, self.region)
            problem = None
            if self.endpoint is not None and self.endpoint != credentials.endpoint_url:
                problem = credentials.endpoint_problem(self.endpoint) or credentials.clear_problem(self.endpoint)
            if problem is not None:
                message = f"the endpoint in this machine's configuration for AWS: {problem}"
                raise ConfigError(message)
        self._style = credentials.addressing_style(self.endpoint)
        self._server = ""

    def heard(self, headers: Headers | None) -> None:
        """Take note of the software that a response names."""
        self._server = self._server or (headers.get("Server", "") if headers is not None else "")

    @property
    def creates_exclusively(self) -> bool:
        """Whether the server is known to respect `If-None-Match: *`; others may replace the object."""
        host = urlsplit(self.endpoint or "").hostname or ""
        return self.is_aws or host.endswith(_R2) or self._server.startswith(_CREATE_EXCLUSIVELY)

    @property
    def is_aws(self) -> bool:
        """Whether the buckets are Amazon's, so that a bucket can be in any region."""
        return self.endpoint is None

    def place(self, bucket: str, region_name: str | None = None) -> tuple[Origin, str]:
        """Return the server of a bucket, and the start of its targets, without a slash at the end.

        Args:
            bucket: the bucket; an empty string for the account.
            region_name: the bucket's region in AWS, if it is not that of the credentials.

        Raises:
            NotSupported: Amazon's requests to a bucket of this kind differ.
        """
        if self.endpoint is not None:
            base, path = urlsplit(self.endpoint), urlsplit(self.endpoint).path.rstrip("/")
            host = base.netloc
            scheme = base.scheme
        else:
            # Without a region it leads to every bucket that is in the host, in whatever region.
            named = region_name or self.region
            scheme, path, host = "https", "", host_of("s3", named) if named else "s3.amazonaws.com"
        kind = next((kind for end, kind in _OTHER_KINDS.items() if bucket.endswith(end)), None)
        if kind is not None and (self.is_aws or is_amazon(urlsplit(f"{scheme}://{host}").hostname or "")):
            message = f"s3://{bucket} is {kind}, which is not supported; use a general purpose bucket"
            raise NotSupported(message)
        # botocore has the same rules, which presigned URLs come from.
        fitting = _IN_HTTP_HOST if scheme == "http" and self._style == "virtual" else _IN_HOST
        if self._style != "path" and fitting.fullmatch(bucket):
            return Origin.of(f"{scheme}://{bucket}.{host}"), path
        return Origin.of(f"{scheme}://{host}"), f"{path}/{quote(bucket, safe='')}" if bucket else path


def _configured_endpoint(session: Any, region_name: str | None) -> str | None:
    """Return the endpoint that the machine's configuration names, or None for Amazon's usual one."""
    s3 = {"us_east_1_regional_endpoint": "regional"}
    endpoint = configured_endpoint(session, "s3", region_name or DEFAULT_REGION, s3=s3)
    usual = re.fullmatch(r"https://s3\.[a-z0-9-]+\.amazonaws\.com(\.cn)?", endpoint)
    return None if usual else endpoint
