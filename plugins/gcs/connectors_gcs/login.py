"""What all documents of this plugin share that log in with Google: their members, and where tokens come from."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import Field

from connectors.secrets import SecretText  # noqa: TC001 - pydantic reads the annotations
from connectors.storage import (
    HIDES_NOTHING,
    SecretModel,
    checked,
    endpoint_problem,
    matching,
    sends_in_the_clear,
    word_problem,
)

__all__ = ["DEFAULT_TOKEN_URI", "GoogleLogin", "ServiceAccount", "load_key"]

DEFAULT_TOKEN_URI = "https://oauth2.googleapis.com/token"  # noqa: S105 - where tokens come from, and none itself
"""The endpoint that exchanges a service account's signed assertion for a token."""
MIN_KEY_BITS = 2048

_ACCOUNT = re.compile(r"[A-Za-z0-9._-]{1,128}@[A-Za-z0-9.-]{1,253}")
_NO_ACCOUNT = "not an account's name, such as reader@project.iam.gserviceaccount.com"
_SHOWABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


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


class GoogleLogin(SecretModel):
    """The members of a document that say who logs in with Google."""

    service_account: ServiceAccount | None = Field(
        default=None,
        description="A service account's key: the content of the JSON file downloaded from Google.",
    )
    token: Annotated[SecretText, checked(_token_problem)] | None = Field(
        default=None, description="An OAuth 2.0 access token, which expires."
    )
    ambient: bool = Field(
        default=False,
        strict=True,
        description=(
            "Use Google's application default credentials: GOOGLE_APPLICATION_CREDENTIALS, gcloud's file, the "
            "metadata server. Without it, none of them is read."
        ),
    )

    def token_uri_problem(self, *, elsewhere: bool, allow_http: bool = False) -> str | None:
        """Return what is wrong with where tokens come from, or None.

        This server receives an assertion that is signed in the account's name, which is as good as a token.

        Args:
            elsewhere: whether the document says that the whole service is not Google's.
            allow_http: whether it may then be asked unencrypted, over a network.
        """
        uri = self.service_account.token_uri if self.service_account else DEFAULT_TOKEN_URI
        problem = endpoint_problem(uri, example=DEFAULT_TOKEN_URI)
        if not elsewhere:
            genuine = uri.startswith("https://oauth2.googleapis.com/") and problem is None
            return None if genuine else "service_account.token_uri: not https://oauth2.googleapis.com/token"
        if problem is None and sends_in_the_clear(uri) and not allow_http:
            problem = HIDES_NOTHING
        return f"service_account.token_uri: {problem}" if problem else None
