"""The key source: asks the transit secrets engine to wrap and to unwrap."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, ClassVar

from connectors.keys import KeySource
from connectors.secrets import Hidden
from connectors_vault.reference import VaultReference, VaultWrapping

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["Vault"]


class Vault(KeySource):
    """A key wrapped by HashiCorp Vault or OpenBao: ``{"source": "vault", "address": …, "key": …, "wrapped": …}``."""

    name: ClassVar[str] = "vault"
    summary: ClassVar[str] = "HashiCorp Vault or OpenBao"
    Reference = VaultReference
    Wrapping = VaultWrapping

    def unwrap(self, reference: VaultReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract says, and ConfigError if a file with a token cannot be read."""
        from connectors_vault.logins import open_server  # noqa: PLC0415 - it loads the HTTP engine

        server = open_server(reference, root)
        text = server.transit(reference, "decrypt", "plaintext", Hidden({"ciphertext": reference.wrapped}))
        return server.key_of(text, reference.shown)

    def wrap(self, key: SecretKey, wrapping: VaultWrapping, root: str | None) -> VaultReference:
        """Return a reference to a key; raises as `unwrap` does."""
        from connectors_vault.logins import open_server  # noqa: PLC0415

        server = open_server(wrapping, root)
        plain = Hidden({"plaintext": base64.b64encode(key.reveal()).decode()})
        wrapped = server.transit(wrapping, "encrypt", "ciphertext", plain).reveal()
        members = {name: getattr(wrapping, name) for name in VaultWrapping.model_fields}
        return server.reference_of(lambda: VaultReference(**members, wrapped=wrapped), wrapping.shown)

    def holder(self, reference: VaultWrapping) -> str:
        """Return the name of the key and its server."""
        return f"the Vault key {reference.shown}"
