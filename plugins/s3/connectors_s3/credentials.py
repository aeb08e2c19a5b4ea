"""The credentials document of an S3 dataset.

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
"""AWS's availability zones, eu-west-1a for one: Amazon EC2 User Guide, "Regions and Zones"."""
_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{16}")
"""Ids of AWS's access keys: AWS Identity and Access Management User Guide, "Unique identifiers"."""
_QUOTES = "\"'“”„‘’"  # noqa: RUF001 - those are what editors put there


class S3Credentials(Credentials):
    """What gives access to an object in S3: keys, or nothing at all for a public one, or what the machine offers.

    `expires_at` is None: a session token expires, but does not say when.
    """

    member_prefixes: ClassVar[tuple[str, ...]] = ("aws",)

    type: Literal["s3"] = "s3"
    access_key_id: str | None = Field(default=None, min_length=1, description="The access key's id.")
    secret_access_key: SecretText | None = Field(default=None, description="The access key's secret.")
    session_token: SecretText | None = Field(default=None, description="Goes with temporary keys.")
    region: str | None = Field(
        default=None,
        description="The bucket's region. Needed to presign URLs where there is no endpoint_url.",
    )
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an S3-compatible store; null for AWS. http:// only on this machine's loopback.",
    )
    path_style: bool = Field(
        default=False,
        strict=True,
        description="Put the bucket into the URL's path. Done unasked at an IP address and at localhost.",
    )
    allow_http: bool = Field(
        default=False, strict=True, description="Allow an http:// endpoint that is not this machine's loopback."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send unsigned requests: the object is public.")
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Take credentials, region and options from the AWS_* variables, ~/.aws and the instance metadata. "
            "Without it none of them is looked at."
        ),
    )
    profile: str | None = Field(default=None, min_length=1, description="A profile in ~/.aws; ambient only.")

    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None,
        description="What S3 itself is to encrypt written objects with, besides; null leaves it to the bucket.",
    )
    kms_key_id: str | None = Field(
        default=None, min_length=1, description="The KMS key for server_side_encryption aws:kms; null is AWS's own."
    )

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
        # It becomes part of a host name, so it decides who is sent the requests.
        if value is not None and not _REGION.fullmatch(value):
            message = "not the name of a region, as in eu-west-1"
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
        """Return which rule of "who are you" is broken: one way to say it, and all of it."""
        keyed = self.access_key_id is not None or self.secret_access_key is not None
        ways = [keyed, self.anonymous, self.ambient].count(True)
        if ways == 0:
            return (
                'access_key_id and secret_access_key are missing; for a public object say "anonymous": true, '
                'for the credentials that this machine offers "ambient": true'
            )
        if ways > 1:
            return "give either access_key_id and secret_access_key, or anonymous, or ambient; not two of them"
        if keyed and (self.access_key_id is None or self.secret_access_key is None):
            missing = "access_key_id" if self.access_key_id is None else "secret_access_key"
            return f"access_key_id and secret_access_key go together; {missing} is missing"
        if self.session_token is not None and not keyed:
            return "session_token goes with access_key_id and secret_access_key"
        if self.profile is not None and not self.ambient:
            return 'profile names credentials of this machine, so it needs "ambient": true'
        return self._key_problem()

    def _key_problem(self) -> str | None:
        """Return what can be told from the looks of AWS's keys."""
        if self.secret_access_key is not None and _KEY_ID.fullmatch(self.secret_access_key.reveal()):
            return "access_key_id and secret_access_key are exchanged: the id is the one that begins with AKIA or ASIA"
        if (self.access_key_id or "").startswith("ASIA") and self.session_token is None and self.endpoint_url is None:
            return "session_token is missing, without which an access_key_id that begins with ASIA is not taken"
        return None

    def _transport_problem(self) -> str | None:
        if self.kms_key_id is not None and not (self.server_side_encryption or "").startswith("aws:kms"):
            return 'kms_key_id goes with "server_side_encryption": "aws:kms"'
        if self.endpoint_url is None and self.region and _ZONE.fullmatch(self.region):
            return "region: this is one of its zones; leave out the letter at the end"
        if self.endpoint_url and sends_in_the_clear(self.endpoint_url) and not self.allow_http:
            return f"endpoint_url: {HIDES_NOTHING}"
        return None

    @property
    def object_options(self) -> dict[str, str]:
        """What a request that begins an object says besides its name."""
        options = {"ServerSideEncryption": self.server_side_encryption, "SSEKMSKeyId": self.kms_key_id}
        return {name: value for name, value in options.items() if value is not None}

    @property
    def addressing_style(self) -> Literal["path", "virtual", "auto"]:
        """How botocore is to put the bucket into URLs."""
        host = urlsplit(self.endpoint_url).hostname if self.endpoint_url else None
        if self.path_style or (host and (is_loopback(host) or _is_address(host))):
            return "path"
        # On AWS, "auto" is the virtual host, but for bucket names with dots, which no certificate covers.
        return "virtual" if host else "auto"


def _text_problem(text: str) -> str | None:
    """Return what is wrong with an id, a key or a token, without quoting any of it."""
    if not text:
        return "empty; leave it out where there is none"
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return "quotation marks stand around it, inside of those of JSON; leave them out"
    if not text.isprintable() or not text.isascii() or " " in text:
        return "white space or other characters are in it that no such value has"
    return None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
