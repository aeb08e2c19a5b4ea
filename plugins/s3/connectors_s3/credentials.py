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
from connectors.storage import (
    BucketCredentials,
    SecretWord,
    Way,
    Word,
    is_loopback,
    matching,
)

__all__ = ["REGION", "S3Credentials"]

REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
"""The names of regions."""

_ZONE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9][a-z]")
"""Availability zones of AWS, such as eu-west-1a: Amazon EC2 User Guide, "Regions and Zones"."""
_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{16}")
"""IDs of AWS access keys: AWS Identity and Access Management User Guide, "Unique identifiers"."""
_CUSTOMER_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")


class S3Credentials(BucketCredentials):
    """Credentials: an access key, none for a public object, or those that the machine provides.

    `expires_at` is None: a session token expires, but does not say when.
    """

    member_prefixes: ClassVar[tuple[str, ...]] = ("aws",)
    ways: ClassVar[tuple[Way, ...]] = (
        Way(("access_key_id", "secret_access_key"), extras=("session_token",)),
        Way(("anonymous",)),
        Way(("ambient",)),
    )
    missing: ClassVar[str] = "access_key_id and secret_access_key are missing"
    endpoint_example: ClassVar[str] = "https://s3.example.org"

    type: Literal["s3"] = "s3"
    access_key_id: Word | None = Field(default=None, min_length=1, description="The ID of the access key.")
    secret_access_key: SecretWord | None = Field(default=None, description="The secret of the access key.")
    session_token: SecretWord | None = Field(default=None, description="The session token of temporary keys.")
    # The region becomes part of a host name, so it decides where the requests go.
    region: Annotated[str, matching(REGION, "not the name of a region, such as eu-west-1")] | None = Field(
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
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use credentials, region and options from the AWS_* variables, ~/.aws and the instance metadata. "
            "Without it, none of them is read."
        ),
    )
    profile: str | None = Field(default=None, min_length=1, description="A profile in ~/.aws; only with ambient.")

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
        secret, key_id = self.secret_access_key, self.access_key_id or ""
        temporary = key_id.startswith("ASIA") and self.session_token is None and self.endpoint_url is None
        by_kms = (self.server_side_encryption or "").startswith("aws:kms")
        broken = {
            'profile names credentials of this machine, so it needs "ambient": true': (
                self.profile is not None and not self.ambient
            ),
            "access_key_id and secret_access_key are swapped: the ID begins with AKIA or ASIA": (
                secret is not None and _KEY_ID.fullmatch(secret.reveal())
            ),
            "session_token is missing; an access_key_id that begins with ASIA needs it": temporary,
            'kms_key_id needs "server_side_encryption": "aws:kms"': self.kms_key_id is not None and not by_kms,
            "give either customer_key or server_side_encryption; S3 encrypts with one of them": (
                self.customer_key is not None and self.server_side_encryption is not None
            ),
            "region: this is an availability zone; remove the letter at the end": (
                self.endpoint_url is None and _ZONE.fullmatch(self.region or "")
            ),
        }
        return next((rule for rule, is_broken in broken.items() if is_broken), None)

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
