"""The documents of the key source ``aws-kms``: which KMS key wraps, and who asks for it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from connectors.keys import KeyReference, Wrapped
from connectors.storage import checked, endpoint_problem, exactly_one_way, sends_in_the_clear
from connectors_s3.account import ACCESS_KEY, AMBIENT, AwsAccount
from connectors_s3.regions import REGION, Region, host_of

if TYPE_CHECKING:
    from typing import Self

__all__ = ["AwsKmsObjects", "AwsKmsReference", "AwsKmsWrapping", "is_kms", "kms_endpoint_problem", "region_in"]

_ARN = re.compile(
    rf"arn:aws[a-z-]{{0,20}}:kms:({REGION.pattern}):[0-9]{{12}}:(key/[A-Za-z0-9-]{{1,256}}|alias/[A-Za-z0-9/_-]{{1,250}})"
)
"""The ARN of a key or of an alias: AWS KMS Developer Guide, "Key identifiers (KeyId)"."""
_NAME = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}|alias/[A-Za-z0-9/_-]{1,250}")
"""The ID of a key, or the name of an alias: from the same page."""


def kms_endpoint_problem(url: str) -> str | None:
    """Return what is wrong with the URL of an endpoint, without quoting any of it, or None."""
    problem = endpoint_problem(url, example="https://kms.example.org")
    if problem is None and sends_in_the_clear(url):
        problem = "http:// is not encrypted, and the key is in the response; use https://"
    return problem


def is_kms(url: str, region: str) -> bool:
    """Return whether a URL leads to AWS KMS itself in a region: a usual, a FIPS, a dual-stack or a VPC endpoint.

    It is not enough that the host is below a domain of Amazon's: so are those of its customers' load balancers.
    Sources: AWS General Reference, "AWS Key Management Service endpoints and quotas"; AWS KMS Developer Guide,
    "Connect to AWS KMS through a VPC endpoint".
    """
    parts = urlsplit(url)
    usual = re.escape(host_of("", region).removeprefix("."))
    domain = rf"({usual}|{re.escape(region)}\.api\.aws)"
    private = rf"vpce-[a-z0-9-]+\.kms(-fips)?\.{re.escape(region)}\.vpce\.amazonaws\.com(\.cn)?"
    host = re.fullmatch(rf"kms(-fips)?\.{domain}|{private}", parts.hostname or "", re.ASCII)
    return parts.scheme == "https" and parts.port in (None, 443) and parts.path in ("", "/") and host is not None


def region_in(key_id: str) -> str | None:
    """Return the region in the ARN of a KMS key or an alias; None if it is no ARN."""
    arn = _ARN.fullmatch(key_id)
    return arn[1] if arn else None


def _key_problem(key_id: str) -> str | None:
    if _ARN.fullmatch(key_id) or _NAME.fullmatch(key_id):
        return None
    return "not a key of AWS KMS: give its ARN, its ID, or an alias such as alias/clinic"


def _context_problem(context: dict[str, str]) -> str | None:
    if context and all(context):
        return None
    return 'it must say what the key is for, as in {"dataset": "conditions"}'


def _objects_context_problem(context: dict[str, str]) -> str | None:
    if not all(context):
        return "a name in it is empty"
    if any(name.startswith("aws:") for name in context):
        return "names that begin with aws: are reserved; the client adds its own"
    if all(text.isascii() and text.isprintable() for pair in context.items() for text in pair):
        return None
    return "only printable ASCII is kept unchanged in an object's metadata"


class AwsKmsWrapping(AwsAccount, KeyReference):
    """The KMS key that wraps, and who asks for it."""

    source: Literal["aws-kms"] = "aws-kms"
    key_id: Annotated[str, checked(_key_problem)] = Field(
        description="The symmetric KMS key: its ARN, its ID, or an alias such as alias/clinic."
    )
    context: Annotated[dict[str, str], checked(_context_problem)] = Field(
        description=(
            "The encryption context: what the key is for, which KMS binds to the wrapped key. It is not secret: "
            "CloudTrail shows it."
        )
    )
    region: Region | None = Field(default=None, description="The key's region; needed unless key_id is an ARN.")
    endpoint: Annotated[str, checked(kms_endpoint_problem)] | None = Field(
        default=None,
        description=(
            "URL of a private or FIPS endpoint; null for AWS's usual one. http:// only for a loopback address. With "
            "ambient, it is AWS KMS's own, or the one in the machine's configuration."
        ),
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = exactly_one_way(self, (ACCESS_KEY, AMBIENT), self.missing)
        problem = problem or self.account_problem("kms", "endpoint")
        region = region_in(self.key_id)
        if problem is None and self.region is None and region is None:
            problem = "region is missing; only an ARN in key_id says which it is"
        if problem is None and None not in (self.region, region) and self.region != region:
            problem = "region is another one than that in key_id; leave it out"
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def region_name(self) -> str:
        """The key's region."""
        return region_in(self.key_id) or self.region or ""

    @property
    def shown(self) -> str:
        """The key, for messages."""
        return self.key_id if region_in(self.key_id) else f"{self.key_id} in {self.region}"


class AwsKmsReference(AwsKmsWrapping):
    """A key wrapped by a KMS key."""

    wrapped: Wrapped = Field(description="The wrapped key, as KMS returned it, in base64.")


class AwsKmsObjects(AwsKmsWrapping):
    """The KMS key that wraps the keys of objects of the Amazon S3 Encryption Client, and who asks for it."""

    context: Annotated[dict[str, str], checked(_objects_context_problem)] = Field(
        default_factory=dict,
        description=(
            "The encryption context that the objects were written with, without what the client adds to it; empty if "
            "none was given. It is in each object's metadata."
        ),
    )
