"""The model of the credentials document of a dataset in S3.

For example::

{"type": "s3", "access_key_id": "…", "secret_access_key": "…", "session_token": null, "region": "eu-west-1",
 "endpoint_url": null, "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import BucketCredentials, Way, is_loopback, matching
from connectors_s3.account import ACCESS_KEY, AMBIENT, AwsAccount
from connectors_s3.regions import Region  # noqa: TC001

__all__ = ["S3Credentials"]

_CUSTOMER_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


class S3Credentials(AwsAccount, BucketCredentials):
    """Credentials: an access key, none for a public object, or those that the machine provides.

    `expires_at` is None: a session token expires, but does not say when.
    """

    member_prefixes: ClassVar[tuple[str, ...]] = ("aws",)
    ways: ClassVar[tuple[Way, ...]] = (ACCESS_KEY, Way(("anonymous",)), AMBIENT)
    endpoint_example: ClassVar[str] = "https://s3.example.org"

    type: Literal["s3"] = "s3"
    region: Region | None = Field(
        default=None,
        description="The bucket's region. Required to presign URLs without an endpoint_url.",
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an S3-compatible store; null for AWS. http:// only for a loopback address.",
    )
    path_style: bool = Field(
        default=False,
        strict=True,
        description="Put the bucket into the URL's path. Automatic for IP addresses and localhost.",
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None,
        description="Additional encryption of written objects by S3 itself; null for the bucket's default.",
    )
    kms_key_id: str | None = Field(
        default=None, min_length=1, description="The KMS key for aws:kms; null for the key that AWS manages."
    )

    customer_key: Annotated[SecretText, matching(_CUSTOMER_KEY, "not 32 bytes in base64")] | None = Field(
        default=None, description="A key of 32 bytes in base64 with which S3 encrypts in addition (SSE-C)."
    )
    requester_pays: bool = Field(
        default=False, strict=True, description="Agree to pay for requests to a bucket of another account."
    )
    acl: (
        Literal["private", "bucket-owner-full-control", "bucket-owner-read", "authenticated-read", "public-read"] | None
    ) = Field(default=None, description="A canned ACL of written objects; null for the bucket's default.")
    storage_class: str | None = Field(
        default=None,
        pattern=r"^[A-Z0-9_]{1,32}$",
        description="The storage class of written objects, such as STANDARD_IA; null for the bucket's default.",
    )
    part_size: int | None = Field(
        default=None,
        ge=5 << 20,
        le=5 << 30,
        strict=True,
        description="Bytes in every part of a large object, for stores that want equal parts; null to choose.",
    )

    def contradiction(self) -> str | None:
        """Return what is wrong with members that do not fit together, or with keys whose format shows it, or None."""
        by_kms = (self.server_side_encryption or "").startswith("aws:kms")
        problem = self.account_problem("s3", "endpoint_url")
        if problem is None and self.kms_key_id is not None and not by_kms:
            problem = 'kms_key_id needs "server_side_encryption": "aws:kms"'
        if problem is None and self.customer_key is not None and self.server_side_encryption is not None:
            problem = "give either customer_key or server_side_encryption; S3 encrypts with one of them"
        return problem

    @property
    def object_headers(self) -> dict[str, str]:
        """Further headers of the request that starts to write an object."""
        headers = {
            "x-amz-server-side-encryption": self.server_side_encryption,
            "x-amz-server-side-encryption-aws-kms-key-id": self.kms_key_id,
            "x-amz-acl": self.acl,
            "x-amz-storage-class": self.storage_class,
        }
        return {name: value for name, value in headers.items() if value is not None}

    def addressing_style(self, endpoint: str | None) -> Literal["path", "virtual", "auto"]:
        """Return how the bucket is put into the URLs of an endpoint; None is AWS's."""
        host = urlsplit(endpoint).hostname if endpoint else None
        if self.path_style or (host and (is_loopback(host) or _is_address(host))):
            return "path"
        # "auto" means the virtual host, except for bucket names with dots, which no certificate covers.
        return "virtual" if host else "auto"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
