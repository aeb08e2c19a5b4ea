"""The key source ``vault``: keys wrapped by the transit secrets engine of HashiCorp Vault or OpenBao."""

from __future__ import annotations

from connectors_vault.reference import VaultReference, VaultWrapping
from connectors_vault.source import Vault

__all__ = ["Vault", "VaultReference", "VaultWrapping"]
