"""Refuse public keys that do not identify anybody: any signature verifies with them, or others can sign for them.

Checked where a party's key is accepted (a new identity, a trusted party, a received file) and again before each
signature is verified, since an enclave may be the first to see the key.

Sources: RFC 8032, 5.1.3 and 5.1.7; NIST SP 800-131A (RSA from 2048 bits), FIPS 186-5 (exponents and curves).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from connectors.errors import WeakKey

if TYPE_CHECKING:
    from connectors.workflow.documents.kinds import Party, PublicKey

__all__ = ["check_key", "check_party"]

_P = 2**255 - 19
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL = {0, 1, _P - 1, _ORDER_8, _P - _ORDER_8}
"""The y of all points of order 1, 2, 4 and 8, with either sign of x."""
_SIZE = 32
_CURVES = {f"ecdsa-sha2-nistp{size}": f"secp{size}r1" for size in (256, 384, 521)}
_RSA = {f"{kind}-sha{size}" for kind in ("rsassa-pss", "rsa-pkcs1v15") for size in (256, 384, 512)}
_BITS = range(2048, 16384 + 1)
_EXPONENTS = range(65537, 2**256, 2)


def check_key(key: PublicKey, owner: str) -> None:
    """Refuse a weak key.

    Args:
        key: a party's public key.
        owner: the party's name, for the error.

    Raises:
        WeakKey: it is not an Ed25519, ECDSA or RSA key that only its holder can sign for.
    """
    problem = _problem(key)
    if problem:
        message = f"the key {key.keyid} of {owner!r} is refused: {problem}; the party needs another key"
        error = WeakKey(message)
        error.key_id, error.reason = key.keyid, problem
        raise error


def check_party(party: Party) -> None:
    """Refuse a party that has a weak key.

    Raises:
        WeakKey: as for `check_key`.
    """
    for key in party.keys:
        check_key(key, party.name)


def _problem(key: PublicKey) -> str | None:
    if key.keytype == "ed25519" and key.scheme == "ed25519":
        return _ed25519_problem(key.public)
    if (key.keytype == "ecdsa" and key.scheme in _CURVES) or (key.keytype == "rsa" and key.scheme in _RSA):
        return _pem_problem(key)
    return f"{key.scheme!r} is no supported scheme for keys of the type {key.keytype}"


def _ed25519_problem(public: str) -> str | None:
    try:
        data = bytes.fromhex(public)
    except ValueError:
        data = b""
    if data.hex() != public or len(data) != _SIZE:
        return "an Ed25519 key has 64 hexadecimal digits in lower case"
    y = int.from_bytes(data, "little") & (2**255 - 1)
    if y >= _P:
        return "its point is not encoded canonically"
    return "its point has a small order, so that one signature verifies for any message" if y in _SMALL else None


def _pem_problem(key: PublicKey) -> str | None:
    try:
        loaded = load_pem_public_key(key.public.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "it is not a public key in PEM format that can be read"
    if key.keytype == "ecdsa" and isinstance(loaded, EllipticCurvePublicKey):
        curve = _CURVES[key.scheme]
        return None if loaded.curve.name == curve else f"it is on the curve {loaded.curve.name}, not on {curve}"
    if key.keytype == "rsa" and isinstance(loaded, RSAPublicKey):
        numbers = loaded.public_numbers()
        if loaded.key_size not in _BITS:
            return f"it has {loaded.key_size} bits; an RSA key needs {_BITS.start} to {_BITS.stop - 1}"
        if numbers.e not in _EXPONENTS or numbers.n % 2 == 0:
            return "its exponent must be an odd number from 65537 to 256 bits, and its modulus odd"
        return None
    return f"it is not a key of the type {key.keytype}"
