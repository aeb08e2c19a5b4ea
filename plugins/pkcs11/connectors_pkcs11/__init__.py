"""The key source ``pkcs11``: keys wrapped by a key in a hardware security module.

Importing this package is cheap: the PKCS#11 library is loaded when the first key is wrapped or unwrapped.
"""

from __future__ import annotations

from connectors_pkcs11.reference import Pkcs11Reference, Pkcs11Wrapping
from connectors_pkcs11.source import Pkcs11

__all__ = ["Pkcs11", "Pkcs11Reference", "Pkcs11Wrapping"]
