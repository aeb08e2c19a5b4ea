"""Wire formats: bytes to bytes, no I/O. One module each, over the contract in `contract`.

`select` makes a format from its name; `NAMES` lists them. Each module documents its wire format and its guarantees.
"""

from __future__ import annotations

from typing import Literal, get_args

from connectors.errors import ConfigError
from connectors.formats.auto import Auto
from connectors.formats.checked import Checked
from connectors.formats.cobblestone import Cobblestone256
from connectors.formats.contract import Decryptor, Encryptor, Format, FormerKeys
from connectors.formats.either import Either
from connectors.formats.gcm import Gcm
from connectors.formats.layout import Layout
from connectors.formats.pin import check_pin
from connectors.formats.plain import Plain
from connectors.formats.s3_client import DataKeys, S3EncryptionClient
from connectors.formats.tink import DEFAULT_SEGMENT_SIZE, TinkGcmHkdf
from connectors.secrets import Hidden, SecretKey, TinkKey

__all__ = [
    "DEFAULT_SEGMENT_SIZE",
    "NAMES",
    "Auto",
    "Checked",
    "Cobblestone256",
    "DataKeys",
    "DatasetFormat",
    "Decryptor",
    "Either",
    "Encryptor",
    "Format",
    "FormatName",
    "FormerKeys",
    "Gcm",
    "Layout",
    "Plain",
    "S3EncryptionClient",
    "TinkGcmHkdf",
    "check_pin",
    "select",
]

FormatName = Literal["auto", "cobblestone-256", "tink-gcm-hkdf", "gcm"]
"""The names a format is chosen by; ``auto`` reads cobblestone-256 and gcm, and writes cobblestone-256."""
DatasetFormat = Literal["auto", "cobblestone-256", "tink-gcm-hkdf", "gcm", "s3-encryption-client"]
"""The same and ``s3-encryption-client``, whose objects have keys of their own: for datasets, not with a key."""

NAMES: tuple[FormatName, ...] = get_args(FormatName)


def select(
    name: str,
    key: SecretKey | bytes | str | Hidden,
    *,
    context: bytes = b"",
    segment_size: int = DEFAULT_SEGMENT_SIZE,
    pin: str | None = None,
    former: FormerKeys | None = None,
) -> Format:
    """Return the format called `name`, under `key`.

    Args:
        name: one of `NAMES`.
        key: a `SecretKey`, 32 bytes, or 64 hexadecimal digits. A `TinkKey` is for tink-gcm-hkdf, which auto then means,
            and says how large segments are.
        context: bytes that bind objects to a place or purpose, without a zero byte; not with gcm.
        segment_size: bytes in a sealed segment; tink-gcm-hkdf only.
        pin: the `Decryptor.pin` of the only version to accept; None accepts any.
        former: returns keys that cobblestone-256 objects are also read with; not with gcm and tink-gcm-hkdf.

    Raises:
        InvalidKey: the key has another length or form.
        ConfigError: the name is unknown, the format does not have the option, or the context has a zero byte.
    """
    key = Hidden(key)  # from here on, a traceback that prints locals prints a mask
    if isinstance(key.reveal(), TinkKey):
        name, segment_size = _of_keyset(name, segment_size, key.reveal())
    key = SecretKey(key)
    if type(context) is not bytes:  # text would fail only after an object has been started
        message = f"a context is bytes, not {type(context).__name__}; encode text as UTF-8"
        raise ConfigError(message)
    if 0 in context:  # a folder's member is bound to the context, a zero byte and its name: see `with_name`
        message = "a context must not contain a zero byte, which separates it from the names of a folder's objects"
        raise ConfigError(message)
    codec: Format
    match name:
        case "auto":
            codec = Auto(key, context, former)
        case "cobblestone-256":
            codec = Cobblestone256(key, context, former)
        case "tink-gcm-hkdf" | "gcm" if former is not None:
            message = (
                f"former keys need the format cobblestone-256: nothing in a {name} object tells which key it is under"
            )
            raise ConfigError(message)
        case "tink-gcm-hkdf":
            codec = TinkGcmHkdf(key, context, segment_size=segment_size)
        case "gcm":
            codec = Gcm(key, context)
        case _:
            message = f"unknown format {name!r}; known are {', '.join(NAMES)}"
            raise ConfigError(message)
    codec.pin = None if pin is None else check_pin(pin)
    return codec


def _of_keyset(name: str, segment_size: int, key: TinkKey) -> tuple[str, int]:
    """Return the format and the segment size of a Tink keyset's key.

    Raises:
        ConfigError: they are not those that were given, or the key is for no dataset.
    """
    problem = None
    if key.segment_size is None:
        problem = "the key is of a Tink keyset of AES-GCM, which encrypts keysets; datasets need AES256_GCM_HKDF"
    elif name not in {"auto", "tink-gcm-hkdf"}:
        problem = (
            f"the key is of a Tink keyset, for the format tink-gcm-hkdf and no other; {name} needs a key of its own"
        )
    elif segment_size not in {DEFAULT_SEGMENT_SIZE, key.segment_size}:
        problem = (
            f"segment_size is {segment_size}, and that of the Tink keyset {key.segment_size}; leave segment_size out"
        )
    elif key.segment_size is not None:
        return "tink-gcm-hkdf", key.segment_size
    raise ConfigError(problem)
