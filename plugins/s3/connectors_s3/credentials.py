"""The model of the credentials document of a dataset in S3.

For example::

{"type": "s3", "access_key_id": "…", "secret_access_key": "…", "session_token": null, "region": "eu-west-1",
 "endpoint_url": null, "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import ipaddress
import re
from typing import ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from connectors.secrets import SecretText
from connectors.storage import HIDES_NOTHING, Credentials, endpoint_problem, is_loopback, sends_in_the_clear

__all__ = ["S3Credentials"]

_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")

_ZONE = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9][a-z]")
"""Availability zones of AWS, such as eu-west-1a: Amazon EC2 User Guide, "Regions and Zones"."""
_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{16}")
"""IDs of AWS access keys: AWS Identity and Access Management User Guide, "Unique identifiers"."""
_CUSTOMER_KEY = re.compile(r"[A-Za-z0-9+/]{43}=")
_QUOTES = "\"'“”„‘’"  # noqa: RUF001 - editors insert these


class S3Credentials(Credentials):
    """Credentials: an access key, none for a public object, or those that the machine provides.

    `expires_at` is None: a session token expires, but does not say when.
    """

    member_prefixes: ClassVar[tuple[str, ...]] = ("aws",)

    type: Literal["s3"] = "s3"
    access_key_id: str | None = Field(default=None, min_length=1, description="The ID of the access key.")
    secret_access_key: SecretText | None = Field(default=None, description="The secret of the access key.")
    session_token: SecretText | None = Field(default=None, description="The session token of temporary keys.")
    region: str | None = Field(
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
    allow_http: bool = Field(
        default=False, strict=True, description="Also allow http:// for an endpoint that is not a loopback address."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send unsigned requests: the object is public.")
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

    customer_key: SecretText | None = Field(
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

    @field_validator("customer_key")
    @classmethod
    def _check_customer_key(cls, value: SecretText | None) -> SecretText | None:
        if value is not None and not _CUSTOMER_KEY.fullmatch(value.reveal()):
            message = "not 32 bytes in base64"
            raise ValueError(message)
        return value

    @field_validator("access_key_id", "secret_access_key", "session_token")
    @classmethod
    def _check_text(cls, value: str | SecretText | None) -> str | SecretText | None:
        text = value.reveal() if isinstance(value, SecretText) else value
        problem = None if text is None else _text_problem(text)
        if problem:
            raise ValueError(problem)
        return value

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str | None) -> str | None:
        # It becomes part of a host name, so it decides where the requests go.
        if value is not None and not _REGION.fullmatch(value):
            message = "not the name of a region, such as eu-west-1"
            raise ValueError(message)
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is not None:
            problem = endpoint_problem(value, example="https://s3.example.org")
            if problem:
                raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = self._identity_problem() or self._transport_problem()
        if problem:
            raise ValueError(problem)
        return self

    def _identity_problem(self) -> str | None:
        """Return what is wrong with the ways to authenticate: there must be exactly one, and it must be complete."""
        keyed = self.access_key_id is not None or self.secret_access_key is not None
        ways = [keyed, self.anonymous, self.ambient].count(True)
        if ways == 0:
            return (
                'access_key_id and secret_access_key are missing; for a public object add "anonymous": true, '
                'for the credentials that this machine provides "ambient": true'
            )
        if ways > 1:
            return "give exactly one of access_key_id (with secret_access_key), anonymous and ambient"
        if keyed and (self.access_key_id is None or self.secret_access_key is None):
            missing = "access_key_id" if self.access_key_id is None else "secret_access_key"
            return f"access_key_id and secret_access_key go together; {missing} is missing"
        if self.session_token is not None and not keyed:
            return "session_token needs access_key_id and secret_access_key"
        if self.profile is not None and not self.ambient:
            return 'profile names credentials of this machine, so it needs "ambient": true'
        return self._key_problem()

    def _key_problem(self) -> str | None:
        """Return what is wrong with the keys, as far as the format of AWS keys shows it."""
        if self.secret_access_key is not None and _KEY_ID.fullmatch(self.secret_access_key.reveal()):
            return "access_key_id and secret_access_key are swapped: the ID begins with AKIA or ASIA"
        if (self.access_key_id or "").startswith("ASIA") and self.session_token is None and self.endpoint_url is None:
            return "session_token is missing; an access_key_id that begins with ASIA needs it"
        return None

    def _transport_problem(self) -> str | None:
        if self.kms_key_id is not None and not (self.server_side_encryption or "").startswith("aws:kms"):
            return 'kms_key_id needs "server_side_encryption": "aws:kms"'
        if self.customer_key is not None and self.server_side_encryption is not None:
            return "give either customer_key or server_side_encryption; S3 encrypts with one of them"
        if self.endpoint_url is None and self.region and _ZONE.fullmatch(self.region):
            return "region: this is an availability zone; remove the letter at the end"
        if self.endpoint_url and sends_in_the_clear(self.endpoint_url) and not self.allow_http:
            return f"endpoint_url: {HIDES_NOTHING}"
        return None

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

    @property
    def addressing_style(self) -> Literal["path", "virtual", "auto"]:
        """How the bucket is put into URLs."""
        host = urlsplit(self.endpoint_url).hostname if self.endpoint_url else None
        if self.path_style or (host and (is_loopback(host) or _is_address(host))):
            return "path"
        # "auto" means the virtual host, except for bucket names with dots, which no certificate covers.
        return "virtual" if host else "auto"


def _text_problem(text: str) -> str | None:
    """Return what is wrong with an ID, a key or a token, without quoting any of it."""
    if not text:
        return "empty; leave it out if there is none"
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return "has quotation marks in addition to those of JSON; remove them"
    if not text.isprintable() or not text.isascii() or " " in text:
        return "contains white space or other characters that are not allowed here"
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
