"""The names of vaults and keys in Azure Key Vault and Managed HSM, which decide who gets a token."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors_azure.login import CHINA, GOVERNMENT, PUBLIC

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KeyId", "host_problem", "key_id_of", "key_id_problem"]

_AUTHORITIES: Mapping[str, str] = {
    "vault.azure.net": PUBLIC,
    "vault.usgovcloudapi.net": GOVERNMENT,
    "vault.azure.cn": CHINA,
    "managedhsm.azure.net": PUBLIC,
    "managedhsm.usgovcloudapi.net": GOVERNMENT,
    "managedhsm.azure.cn": CHINA,
}
"""The login service of each suffix of hosts, all of which belong to Microsoft, whatever the vault.

The suffixes are those of "DNS suffixes for object identifiers" in
https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates, and for Managed HSM in other clouds
``mhsm_dns`` in https://github.com/Azure/azure-cli/blob/dev/src/azure-cli-core/azure/cli/core/cloud.py.
"""

# The same page: names have 3 to 24 letters, digits and single hyphens; identifiers are compared without regard to case.
_HOST = r"[a-z0-9](?:-?[a-z0-9]){2,23}\.(?P<suffix>" + "|".join(map(re.escape, _AUTHORITIES)) + ")"
_KEY = r"(?P<name>[a-z0-9-]{1,127})(?:/(?P<version>[a-z0-9]{32}))?"
_VAULT_HOST = re.compile(_HOST, re.ASCII | re.IGNORECASE)
_KEY_ID = re.compile(rf"https://(?P<host>{_HOST})/keys/{_KEY}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class KeyId:
    """The parts of a key's identifier, in lower case.

    Attributes:
        host: the vault's host.
        suffix: the end of the host, which is that of a cloud and a service: ``vault.azure.net``.
        name: the key's name.
        version: its version, or an empty string for the current one.
    """

    host: str
    suffix: str
    name: str
    version: str

    @property
    def authority(self) -> str:
        """URL of the login service of the vault's cloud."""
        return _AUTHORITIES[self.suffix]

    @property
    def scope(self) -> str:
        """The scope of tokens for the service: its resource is the suffix, as the token's audience in the examples is.

        https://learn.microsoft.com/azure/key-vault/general/rest-error-codes, "The token is expired".
        """
        return f"https://{self.suffix}/.default"

    @property
    def is_hsm(self) -> bool:
        """Whether the key is in a Managed HSM."""
        return self.suffix.startswith("managedhsm.")

    def is_same(self, other: KeyId) -> bool:
        """Return whether another identifier is that of the same key, and of the same version if this one has one."""
        same = (self.host, self.name) == (other.host, other.name)
        return same and self.version in ("", other.version)


def key_id_of(text: str) -> KeyId:
    """Return the parts of a key's identifier.

    Raises:
        ValueError: it is not one, below a suffix of Microsoft's.

    >>> key_id_of("https://Clinic.vault.azure.net/keys/wrapping").scope
    'https://vault.azure.net/.default'
    """
    found = _KEY_ID.fullmatch(text)
    if found is None:
        message = (
            "not the identifier of a key in Azure Key Vault or Managed HSM, such as "
            "https://clinic.vault.azure.net/keys/wrapping/0123456789abcdef0123456789abcdef"
        )
        raise ValueError(message)
    host, suffix, name, version = found.group("host", "suffix", "name", "version")
    return KeyId(host.lower(), suffix.lower(), name.lower(), (version or "").lower())


def key_id_problem(text: str) -> str | None:
    """Return what is wrong with a key's identifier, or None."""
    try:
        key_id_of(text)
    except ValueError as error:
        return str(error)
    return None


def host_problem(text: str) -> str | None:
    """Return what is wrong with the host of a vault, or None."""
    if _VAULT_HOST.fullmatch(text):
        return None
    return "not the host of a vault or a Managed HSM, such as clinic.vault.azure.net, without https:// and path"
