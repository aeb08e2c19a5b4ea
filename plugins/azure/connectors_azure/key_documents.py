"""The documents of this plugin's key sources: what they name, and who logs in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from connectors.keys import KeyReference, Wrapped
from connectors.storage import SecretWord, Way, checked, endpoint_problem, exactly_one_way, is_loopback, matching
from connectors_azure.login import LOGINS, EntraLogin
from connectors_azure.vaults import host_problem, key_id_of, key_id_problem

if TYPE_CHECKING:
    from typing import Self

    from connectors_azure.vaults import KeyId

__all__ = ["ReleaseReference", "VaultReference", "VaultWrapping"]

_WAYS = (*LOGINS, Way(("ambient",)))
_SIDECAR = "http://localhost:8080"
_HOST = re.compile(r"(?:[a-z0-9](?:-?[a-z0-9]){0,62}\.)+[a-z]{2,63}", re.ASCII | re.IGNORECASE)
_KEY = re.compile(r"[a-z0-9-]{1,127}(?:/[a-z0-9]{32})?", re.ASCII | re.IGNORECASE)


def _endpoint_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example="https://127.0.0.1:8443")
    if problem is not None:
        return problem
    parts = urlsplit(url)
    if parts.scheme != "https" or not is_loopback(parts.hostname or "") or parts.path.strip("/"):
        return (
            "tokens are sent there, so only https:// to this machine, without a path, as in https://127.0.0.1:8443; a "
            "private endpoint needs no URL, because it has the vault's own name"
        )
    return None


class VaultWrapping(EntraLogin, KeyReference):
    """The key that wraps, and who logs in to use it."""

    source: Literal["azure-key-vault"] = "azure-key-vault"
    key_id: Annotated[str, checked(key_id_problem)] = Field(
        description=(
            "The wrapping key's identifier: https://VAULT.vault.azure.net/keys/NAME/VERSION, or below "
            "managedhsm.azure.net. What is wrapped has the version that wrapped it."
        ),
    )
    algorithm: Literal["RSA-OAEP-256", "A256KW"] = Field(
        default="RSA-OAEP-256",
        description="How the key is wrapped: RSA-OAEP-256 under an RSA key, A256KW under an AES key in a Managed HSM.",
    )
    endpoint_url: Annotated[str, checked(_endpoint_problem)] | None = Field(
        default=None,
        description="URL of a test server on this machine, only with a service principal; null for the vault.",
    )

    @property
    def wrapping_key(self) -> KeyId:
        """The parts of the key's identifier."""
        return key_id_of(self.key_id)

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        problem = exactly_one_way(self, _WAYS) or self.authority_problem()
        if problem is None and self.algorithm == "A256KW" and not self.wrapping_key.is_hsm:
            problem = "algorithm: only a Managed HSM has AES keys; use RSA-OAEP-256 in a vault"
        if problem is None and self.endpoint_url is not None and (self.managed_identity or self.ambient):
            problem = "endpoint_url: a test server gets no token of this machine's identity; give a service principal"
        if problem is not None:
            raise ValueError(problem)
        return self


class VaultReference(VaultWrapping):
    """A key wrapped under a version of a key."""

    wrapped: Wrapped = Field(description="The key, wrapped by the service, in base64.")

    @model_validator(mode="after")
    def _check_version(self) -> Self:
        if not self.wrapping_key.version:
            message = "key_id: add the version that wrapped the key, as in …/keys/NAME/VERSION"
            raise ValueError(message)
        return self


def _sidecar_problem(url: str) -> str | None:
    problem = endpoint_problem(url, example=_SIDECAR)
    if problem is not None:
        return problem
    parts = urlsplit(url)
    if not is_loopback(parts.hostname or "") or parts.path.strip("/"):
        return f"the sidecar gives its keys away, so only a URL of this machine, without a path, such as {_SIDECAR}"
    return None


class ReleaseReference(KeyReference):
    """A key in Azure Key Vault or Managed HSM that has a release policy."""

    source: Literal["azure-skr"] = "azure-skr"
    maa_endpoint: Annotated[str, matching(_HOST, "not a host, such as sharedneu.neu.attest.azure.net")] = Field(
        description="The host of the attestation service that the key's release policy names as its authority."
    )
    akv_endpoint: Annotated[str, checked(host_problem)] = Field(description="The host of the vault or Managed HSM.")
    kid: Annotated[str, matching(_KEY, "not a key's name, or its name and version, as in conditions")] = Field(
        description="The key's name; NAME/VERSION for one of its versions."
    )
    access_token: SecretWord | None = Field(
        default=None,
        description="A token for the vault; null: the sidecar uses the managed identity of the container group.",
    )
    sidecar_url: Annotated[str, checked(_sidecar_problem)] = Field(
        default=_SIDECAR, description="URL of the sidecar, which is on this machine."
    )
    wrapped: Wrapped | None = Field(
        default=None,
        description=(
            "The dataset's key, wrapped with RSA-OAEP-256 under the RSA key that is released, in base64; null if the "
            "released key is the dataset's key itself."
        ),
    )
