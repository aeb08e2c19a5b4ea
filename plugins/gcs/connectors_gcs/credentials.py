"""The credentials document of a dataset in Google Cloud Storage.

For example::

{"type": "gcs", "service_account": {"type": "service_account", "client_email": "…", "private_key": "…", …},
 "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, Field, field_validator, model_validator

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import HIDES_NOTHING, Credentials, endpoint_problem, sends_in_the_clear

__all__ = ["DEFAULT_TOKEN_URI", "GcsCredentials", "ServiceAccount", "load_key"]

DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens come from, and none itself
"""Where a service account's signed assertion is exchanged for a token."""
MIN_KEY_BITS = 2048

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,128}@[A-Za-z0-9.-]{1,253}")
_EXAMPLE = "https://storage.example.org"
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")
_SHOWABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


class ServiceAccount(BaseModel):
    """A service account's key, as Google writes it into the JSON file that is downloaded.

    Google's documentation, "Create and delete service account keys", has the members. Those that nothing here depends
    on are allowed, so that the file can be taken over as it is, and ignored.
    """

    model_config = Credentials.model_config

    type: Literal["service_account"] = Field(description="What kind of file it is; no other kind is taken.")
    client_email: str = Field(description="The account's name.")
    private_key: SecretText = Field(description="Its private RSA key, in PEM.")
    private_key_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_-]{1,100}$", description="The key's id.")
    token_uri: str = Field(
        default=DEFAULT_TOKEN_URI,
        description="Where tokens come from: below https://oauth2.googleapis.com/, unless there is an endpoint_url.",
    )
    project_id: str | None = Field(default=None, description="The account's project.")
    universe_domain: Literal["googleapis.com"] = Field(default="googleapis.com", description="Google's public cloud.")
    client_id: str | None = Field(default=None, description="Ignored.")
    auth_uri: str | None = Field(default=None, description="Ignored.")
    auth_provider_x509_cert_url: str | None = Field(default=None, description="Ignored.")
    client_x509_cert_url: str | None = Field(default=None, description="Ignored.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, members: Any) -> Any:
        # Named here, with the members that are known here: the document's own list is another one.
        unknown = sorted(set(members) - cls.model_fields.keys()) if isinstance(members, dict) else []
        if unknown:
            shown = unknown[0] if _SHOWABLE_NAME.fullmatch(unknown[0]) else "…"
            message = f"{shown} is no member of a key file; Google writes {', '.join(sorted(cls.model_fields))}"
            raise ValueError(message)
        return members

    @field_validator("client_email")
    @classmethod
    def _check_email(cls, value: str) -> str:
        if not _ACCOUNT.fullmatch(value):
            message = "not the name of an account, as in reader@project.iam.gserviceaccount.com"
            raise ValueError(message)
        return value

    @field_validator("private_key")
    @classmethod
    def _check_key(cls, value: SecretText) -> SecretText:
        key = load_key(value)
        if key is None:
            text = value.reveal()
            if "PUBLIC KEY" in text:
                message = "this is a public key; Google's file has the private one"
            elif "\\n" in text:
                message = "its line ends are escaped twice: in JSON a line end is \\n, with one backslash"
            else:
                message = "not an RSA private key in PEM, as Google writes it, whole, from BEGIN to END"
            raise ValueError(message)
        if key.key_size < MIN_KEY_BITS:
            message = f"an RSA key has {MIN_KEY_BITS} bits at least; this one has {key.key_size}"
            raise ValueError(message)
        return value


class GcsCredentials(Credentials):
    """What gives access: a service account, a token, nothing at all for a public object, or what the machine offers.

    `expires_at` is None: an access token expires, but does not say when.
    """

    type: Literal["gcs"] = "gcs"
    service_account: ServiceAccount | None = Field(
        default=None, description="A service account's key: what is in the JSON file that Google lets one download."
    )
    token: SecretText | None = Field(default=None, description="An OAuth 2.0 access token, which ends after a while.")
    endpoint_url: str | None = Field(
        default=None,
        description="URL of an emulator or private endpoint; null for Google. http:// only on this machine's loopback.",
    )
    allow_http: bool = Field(
        default=False, strict=True, description="Allow an http:// endpoint that is not this machine's loopback."
    )
    project: str | None = Field(
        default=None,
        description="The project that requests are billed to where requester_pays; null for the service account's.",
    )
    requester_pays: bool = Field(
        default=False, strict=True, description="Have requests billed to the project: the bucket's owner wants it so."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send no credentials: the object is public.")
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Take Google's application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the "
            "metadata server. Without it none of them is looked at."
        ),
    )

    @field_validator("token")
    @classmethod
    def _check_token(cls, value: SecretText | None) -> SecretText | None:
        text = None if value is None else value.reveal()
        if text is not None and text[:7].lower() == "bearer ":
            message = "leave out the word Bearer in front of the token, and the white space"
            raise ValueError(message)
        if text is not None and (not text or not text.isprintable() or not text.isascii() or " " in text):
            message = "empty, or with white space or other characters in it that no token has"
            raise ValueError(message)
        return value

    @field_validator("project")
    @classmethod
    def _check_project(cls, value: str | None) -> str | None:
        if value is not None and not _PROJECT.fullmatch(value):
            message = "not the id of a project, as in clinic-data-4711"
            raise ValueError(message)
        return value

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        problem = _endpoint_problem(value) if value is not None else None
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
        """Return which rule of "who are you" is broken: one way to say it."""
        ways = [self.service_account is not None, self.token is not None, self.anonymous, self.ambient].count(True)
        if ways == 0:
            return (
                'service_account or token is missing; for a public object say "anonymous": true, '
                'for the credentials that this machine offers "ambient": true'
            )
        if ways > 1:
            return "give one of service_account, token, anonymous and ambient; not two of them"
        if self.requester_pays and not self.billed_project:
            return "requester_pays needs a project to bill"
        if self.requester_pays and self.anonymous:
            return "requester_pays needs somebody who pays, and anonymous is nobody"
        return None

    def _transport_problem(self) -> str | None:
        if self.endpoint_url and sends_in_the_clear(self.endpoint_url) and not self.allow_http:
            return f"endpoint_url: {HIDES_NOTHING}"
        uri = self.service_account.token_uri if self.service_account else DEFAULT_TOKEN_URI
        problem = endpoint_problem(uri, example=_EXAMPLE)
        # It is sent an assertion, signed in the account's name, that is as good as a token.
        if self.endpoint_url is None:
            genuine = uri.startswith("https://oauth2.googleapis.com/") and problem is None
            return None if genuine else "service_account.token_uri: not https://oauth2.googleapis.com/token"
        if problem is None and sends_in_the_clear(uri) and not self.allow_http:
            problem = HIDES_NOTHING
        return f"service_account.token_uri: {problem}" if problem else None

    @property
    def billed_project(self) -> str | None:
        """The project that requests are billed to, or None where the bucket's owner pays."""
        if not self.requester_pays:
            return None
        return self.project or (self.service_account.project_id if self.service_account else None)


def load_key(pem: SecretText) -> RSAPrivateKey | None:
    """Return a private RSA key, or None where the text is none."""
    try:
        key = load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _endpoint_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example=_EXAMPLE)
    if problem is None and urlsplit(url).path.strip("/"):
        return "an endpoint has no path: scheme, host and port are all"
    return problem
