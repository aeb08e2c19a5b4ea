"""The models of references: where the Vault is, which of its keys wraps, and how to log in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.keys import KeyReference
from connectors.storage import (
    SecretModel,
    SecretWord,
    Way,
    Word,
    checked,
    endpoint_problem,
    exactly_one_way,
    matching,
    sends_in_the_clear,
)

if TYPE_CHECKING:
    from typing import Self

__all__ = ["CIPHERTEXT", "AppRole", "Kubernetes", "VaultReference", "VaultWrapping"]

CIPHERTEXT = re.compile(r"vault:v[0-9]{1,9}:[A-Za-z0-9+/]{1,65536}={0,2}", re.ASCII)
"""What transit returns: the version of its key, and base64. https://openbao.org/api-docs/secret/transit/"""
_EXAMPLE = "https://vault.example:8200"
_PATH = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9_.-]{1,128}(/(?!\.{1,2}(/|$))[A-Za-z0-9_.-]{1,128}){0,15}", re.ASCII)
_RESERVED = re.compile(r"(^|/)(auth|sys|identity|cubbyhole)(/|$)|/(data|metadata)(/|$)", re.ASCII)
"""Paths that are Vault's own, below any namespace, or those of a key-value store's secrets.

A request to use a key there would write: https://openbao.org/api-docs/secret/kv/kv-v2/.
"""
_KEY = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,126}[A-Za-z0-9_])?", re.ASCII)


def _address_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example=_EXAMPLE)
    if problem is None and sends_in_the_clear(url):
        return "http:// is not encrypted; use https://, or a loopback address"
    return problem


def _text_problem(text: str) -> str | None:
    return "it contains half of a surrogate pair" if re.search("[\ud800-\udfff]", text) else None


def _mount_problem(path: str) -> str | None:
    if _RESERVED.search(path):
        return (
            "no transit secrets engine can be there: auth, sys, identity and cubbyhole are Vault's own, and data and "
            "metadata are in key-value stores"
        )
    return None


_Path = Annotated[str, matching(_PATH, "not a path such as transit or team/transit, without a slash at either end")]
_Mount = Annotated[_Path, checked(_mount_problem)]
_Text = Annotated[str, checked(_text_problem)]


class AppRole(SecretModel):
    """A login by an AppRole."""

    role_id: Word = Field(description="The role's ID.")
    secret_id: SecretWord = Field(description="A secret ID of the role.")
    mount: _Path = Field(default="approle", description="The path at which the auth method is mounted.")


class Kubernetes(SecretModel):
    """A login by the service account of the pod."""

    role: Word = Field(description="The role's name in Vault.")
    jwt_file: str = Field(
        default="/var/run/secrets/kubernetes.io/serviceaccount/token",
        min_length=1,
        description=(
            "The file with the service account's token, which is read for each login, and sent only to the server that "
            "the machine names in VAULT_ADDR or BAO_ADDR."
        ),
    )
    mount: _Path = Field(default="kubernetes", description="The path at which the auth method is mounted.")


class VaultWrapping(KeyReference):
    """A key of Vault's, and a way to log in."""

    ways: ClassVar[tuple[Way, ...]] = tuple(Way((name,)) for name in ("token", "token_file", "approle", "kubernetes"))

    source: Literal["vault"] = "vault"
    address: Annotated[str, checked(_address_problem)] = Field(
        description=f"The server's URL, such as {_EXAMPLE}. http:// only for a loopback address."
    )
    key: Annotated[str, matching(_KEY, "not the name of a transit key")] = Field(
        description="The name of the transit key that wraps, of a type that encrypts, such as aes256-gcm96."
    )
    mount: _Mount = Field(default="transit", description="The path at which the transit secrets engine is mounted.")
    namespace: _Path | None = Field(default=None, description="The namespace, if the server has any.")
    context: _Text | None = Field(
        default=None, min_length=1, max_length=4096, description="The context, for a transit key that is derived."
    )
    associated_data: _Text | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description=(
            "Text that the wrapped key is bound to, such as the dataset's name: only with the same text is it "
            "unwrapped. For keys of the types aes…-gcm96 and chacha20-poly1305; it is not secret."
        ),
    )
    token: SecretWord | None = Field(default=None, description="A token.")
    token_file: str | None = Field(
        default=None,
        min_length=1,
        description=(
            "A file with a token, which is read each time: a Vault agent renews it. It is sent only to the server that "
            "the machine names in VAULT_ADDR or BAO_ADDR."
        ),
    )
    approle: AppRole | None = Field(default=None, description="Log in by an AppRole.")
    kubernetes: Kubernetes | None = Field(default=None, description="Log in by the pod's service account.")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        problem = exactly_one_way(self, self.ways)
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def shown(self) -> str:
        """The key and its server, for messages."""
        return f"{self.mount}/{self.key} at {self.address}"


class VaultReference(VaultWrapping):
    """A key wrapped by a transit key."""

    wrapped: Annotated[str, matching(CIPHERTEXT, "not a ciphertext of Vault: it begins with vault:v1:")] = Field(
        description="The wrapped key, as Vault returned it: vault:v1:…"
    )
