"""The key source ``azure-key-vault``: a key that is wrapped under a key in Azure Key Vault or Managed HSM."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from connectors.keys import KeySource
from connectors_azure.key_documents import VaultReference, VaultWrapping

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["AzureKeyVault"]


class AzureKeyVault(KeySource):
    """A key wrapped under one in Azure: ``{"source": "azure-key-vault", "key_id": "https://…", "wrapped": "…", …}``."""

    name = "azure-key-vault"
    summary = "Azure Key Vault"
    Reference = VaultReference
    Wrapping = VaultWrapping

    def unwrap(self, reference: VaultReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says, and ConfigError if azure-identity is needed and missing."""
        del root
        from connectors_azure.vault_server import VaultServer  # noqa: PLC0415 - takes a while to import

        server = VaultServer(reference)
        with closing(server.client):
            return server.unwrap(reference.wrapped)

    def wrap(self, key: SecretKey, wrapping: VaultWrapping, root: str | None) -> VaultReference:
        """Return a reference to a key, wrapped under the current version of a key, or the one that is named."""
        del root
        from connectors_azure.vault_server import VaultServer  # noqa: PLC0415

        server = VaultServer(wrapping)
        with closing(server.client):
            key_id, wrapped = server.wrap(key)
        members = {name: getattr(wrapping, name) for name in VaultWrapping.model_fields}
        members["key_id"] = key_id
        return server.reference_of(lambda: VaultReference(**members, wrapped=wrapped), wrapping.key_id)

    def holder(self, reference: VaultWrapping) -> str:
        """Return the key's identifier."""
        return f"Azure Key Vault key {reference.key_id}"
