"""Pins: the fingerprint of one encryption of an object; a reader with a pin accepts no other."""

from __future__ import annotations

import re
from hashlib import sha256

from connectors.errors import ConfigError

__all__ = ["check_pin", "compute_pin"]


def compute_pin(identity: bytes, sealed_size: int) -> str:
    """Return the pin of a sealed object: 64 hexadecimal digits, which hold nothing secret.

    Args:
        identity: the format's name, a zero byte, and the random bytes that no other encryption has.
        sealed_size: the object's size in bytes, verified.
    """
    return sha256(b"enclave-connectors pin 1\0" + identity + sealed_size.to_bytes(8)).hexdigest()


def check_pin(pin: str) -> str:
    """Return a pin in lower case.

    Raises:
        ConfigError: it is not 64 hexadecimal digits.
    """
    if not isinstance(pin, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", pin):
        message = "a pin is 64 hexadecimal digits, as `connectors fingerprint` prints them"
        raise ConfigError(message)
    return pin.lower()
