"""What documents for any service of AWS say about the account: an access key, or that the machine provides one."""

from __future__ import annotations

import re
from typing import ClassVar

from pydantic import Field

from connectors.storage import SecretModel, SecretWord, Way, Word
from connectors_s3.regions import Region, region_problem

__all__ = ["ACCESS_KEY", "AMBIENT", "AwsAccount"]

_KEY_ID = re.compile(r"A[KS]IA[A-Z0-9]{16}")
"""IDs of AWS access keys: AWS Identity and Access Management User Guide, "Unique identifiers"."""
ACCESS_KEY = Way(("access_key_id", "secret_access_key"), extras=("session_token",))
AMBIENT = Way(("ambient",))


class AwsAccount(SecretModel):
    """The members of a document that authenticate with AWS, and that say in which region.

    Attributes:
        missing: what to say if a document gives no way to authenticate.
    """

    missing: ClassVar[str] = "access_key_id and secret_access_key are missing"

    access_key_id: Word | None = Field(default=None, min_length=1, description="The ID of the access key.")
    secret_access_key: SecretWord | None = Field(default=None, description="The secret of the access key.")
    session_token: SecretWord | None = Field(default=None, description="The session token of temporary keys.")
    region: Region | None = Field(default=None, description="The region.")
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use credentials, region and options from the AWS_* variables, ~/.aws and the instance metadata. "
            "Without it, none of them is read."
        ),
    )
    profile: str | None = Field(default=None, min_length=1, description="A profile in ~/.aws; only with ambient.")

    def account_problem(self, service: str, endpoint: str) -> str | None:
        """Return what is wrong with members that do not fit together, or with keys whose format shows it, or None.

        Args:
            service: the service's name in hosts.
            endpoint: the member that names an endpoint other than AWS's usual one.
        """
        secret, key_id = self.secret_access_key, self.access_key_id or ""
        if self.profile is not None and not self.ambient:
            return 'profile names credentials of this machine, so it needs "ambient": true'
        if secret is not None and _KEY_ID.fullmatch(secret.reveal()):
            return "access_key_id and secret_access_key are swapped: the ID begins with AKIA or ASIA"
        if getattr(self, endpoint) is not None:
            return None
        if key_id.startswith("ASIA") and self.session_token is None:
            return "session_token is missing; an access_key_id that begins with ASIA needs it"
        wrong = region_problem(self.region, service, endpoint)
        return f"region: {wrong}" if wrong else None
