"""The model of the credentials document of a dataset in Google Cloud Storage.

For example::

{"type": "gcs", "service_account": {"type": "service_account", "client_email": "…", "private_key": "…", …},
 "encryption": {"key": "<64 hex digits>"}}
"""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import BucketCredentials, SecretModel, Way, checked, endpoint_problem, matching, word_problem

__all__ = ["DEFAULT_TOKEN_URI", "GcsCredentials", "ServiceAccount", "load_key"]

DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens come from, and none itself
"""The endpoint that exchanges a service account's signed assertion for a token."""
MIN_KEY_BITS = 2048

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,128}@[A-Za-z0-9.-]{1,253}")
_NO_ACCOUNT = "not an account's name, such as reader@project.iam.gserviceaccount.com"
_SHOWABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")


def load_key(pem: SecretText) -> RSAPrivateKey | None:
    """Return a private RSA key, or None if the text is not one."""
    try:
        key = load_pem_private_key(pem.reveal().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, RSAPrivateKey) else None


def _key_problem(pem: SecretText) -> str | None:
    key, text = load_key(pem), pem.reveal()
    if key is not None:
        few = f"an RSA key has at least {MIN_KEY_BITS} bits; this one has {key.key_size}"
        return few if key.key_size < MIN_KEY_BITS else None
    if "PUBLIC KEY" in text:
        return "this is a public key; copy the private key from Google's file"
    if "\\n" in text:
        return "its line ends are escaped twice: in JSON a line end is \\n, with one backslash"
    return "not an RSA private key in PEM; copy it from Google's file unchanged, from BEGIN to END"


def _token_problem(token: SecretText) -> str | None:
    if token.reveal()[:7].lower() == "bearer ":
        return "leave out the word Bearer and the white space before the token"
    return word_problem(token)


class ServiceAccount(SecretModel):
    """A service account's key: the content of the JSON file downloaded from Google.

    Google's documentation, "Create and delete service account keys", lists the members. Members that are not needed
    are accepted and ignored, so that the file can be used unchanged.
    """

    type: Literal["service_account"] = Field(description="The kind of the file; no other kind is accepted.")
    client_email: Annotated[str, matching(_ACCOUNT, _NO_ACCOUNT)] = Field(description="The account's name.")
    private_key: Annotated[SecretText, checked(_key_problem)] = Field(description="Its private RSA key, in PEM.")
    private_key_id: str | None = Field(default=None, pattern=r"^[0-9A-Za-z_-]{1,100}$", description="The key's id.")
    token_uri: str = Field(
        default=DEFAULT_TOKEN_URI,
        description="Where tokens come from: a URL under https://oauth2.googleapis.com/, unless endpoint_url is set.",
    )
    project_id: str | None = Field(default=None, description="The account's project.")
    universe_domain: Literal["googleapis.com"] = Field(default="googleapis.com", description="Google's public cloud.")
    client_id: str | None = Field(default=None, description="Ignored.")
    auth_uri: str | None = Field(default=None, description="Ignored.")
    auth_provider_x509_cert_url: str | None = Field(default=None, description="Ignored.")
    client_x509_cert_url: str | None = Field(default=None, description="Ignored.")

    @classmethod
    def shown_name(cls, name: str) -> str:
        """Return a member's name, or "…" if it is unlike those of such files, because it may be a secret."""
        return name if _SHOWABLE_NAME.fullmatch(name) else "…"


class GcsCredentials(BucketCredentials):
    """Credentials: a service account, a token, none for a public object, or those that the machine provides.

    `expires_at` is None: an access token expires, but does not say when.
    """

    ways: ClassVar[tuple[Way, ...]] = tuple(
        Way((name,)) for name in ("service_account", "token", "anonymous", "ambient")
    )
    missing: ClassVar[str] = "service_account or token is missing"

    type: Literal["gcs"] = "gcs"
    service_account: ServiceAccount | None = Field(
        default=None,
        description="A service account's key: the content of the JSON file downloaded from Google.",
    )
    token: Annotated[SecretText, checked(_token_problem)] | None = Field(
        default=None, description="An OAuth 2.0 access token, which expires."
    )
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
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use Google's application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the "
            "metadata server. Without it, none of them is read."
        ),
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
        uri = self.service_account.token_uri if self.service_account else DEFAULT_TOKEN_URI
        problem = endpoint_problem(uri, example=self.endpoint_example)
        # This server receives an assertion that is signed in the account's name, which is as good as a token.
        if self.endpoint_url is None:
            genuine = uri.startswith("https://oauth2.googleapis.com/") and problem is None
            return None if genuine else "service_account.token_uri: not https://oauth2.googleapis.com/token"
        problem = problem or self.clear_problem(uri)
        return f"service_account.token_uri: {problem}" if problem else None

    @property
    def billed_project(self) -> str | None:
        """The project that is billed for requests, or None if the bucket's owner pays."""
        if not self.requester_pays:
            return None
        return self.project or (self.service_account.project_id if self.service_account else None)
