"""Tink's keysets, as JSON and as binary protocol buffers, plain and encrypted.

Of a keyset, one key is used: its primary one, an `AesGcmHkdfStreamingKey` for datasets, or an `AesGcmKey` that encrypts
other keysets. Tink tries all enabled keys when it reads. Nothing in a sealed object tells which key it is under, so a
keyset with several enabled keys is refused here.

Sources: https://developers.google.com/tink/design/keysets and the definitions at
https://github.com/tink-crypto/tink-java/tree/main/proto: tink.proto, aes_gcm_hkdf_streaming.proto, aes_gcm.proto
"""

from __future__ import annotations

import base64
import binascii
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.errors import ConfigError, InvalidKey
from connectors.keys.protobuf import Malformed, Value, message, parsed
from connectors.secrets import KEY_SIZE, Hidden, SecretKey, TinkKey

__all__ = ["EncryptedKeyset", "decrypted", "encrypted_keyset", "is_keyset", "parse_keyset", "plain_keyset"]

_TYPES = "type.googleapis.com/google.crypto.tink."
_STREAMING = "AesGcmHkdfStreamingKey"
_AEAD = "AesGcmKey"
_STATUSES = {"ENABLED": 1, "DISABLED": 2, "DESTROYED": 3}
_PREFIXES = {"TINK": 1, "LEGACY": 2, "RAW": 3, "CRUNCHY": 4, "WITH_ID_REQUIREMENT": 5}
_HASHES = {1: "SHA1", 2: "SHA384", 3: "SHA256", 4: "SHA512", 5: "SHA224"}
_SYMMETRIC = 1
_SHA256 = 3
_NONCE, _TAG = 12, 16
_MOST_BYTES = 1 << 16
_MOST_KEYS = 256


@dataclass(frozen=True, slots=True)
class EncryptedKeyset:
    """A keyset that another key encrypts.

    Attributes:
        ciphertext: the encrypted binary keyset.
    """

    ciphertext: bytes


@dataclass(frozen=True, slots=True, repr=False)
class _Key:
    """A key of a keyset; `value` is the serialized message of its type."""

    type: str
    value: Hidden
    material: int
    status: int
    id: int
    prefix: int


def is_keyset(data: Hidden) -> bool:
    """Return whether a file's content looks like a keyset, instead of hexadecimal digits or a raw key.

    A binary keyset begins with its primary key's id, and an encrypted one with the ciphertext.
    """
    content: bytes = data.reveal()
    if content[:1] in {b"\x08", b"\x12"}:
        return len(content) != KEY_SIZE
    return content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def parse_keyset(data: Hidden) -> TinkKey | EncryptedKeyset:
    """Return the key of a keyset, or the keyset that has to be decrypted first.

    Args:
        data: the JSON object, its text as bytes, or the binary keyset.

    Raises:
        InvalidKey: it is no keyset, or none that can be used here; the message holds nothing secret.
    """
    try:
        return _parsed(data)
    except Malformed as error:
        problem = str(error)
    # Raised outside the handler: the frames below hold the key.
    raise InvalidKey(problem)


def _parsed(data: Hidden) -> TinkKey | EncryptedKeyset:
    content = data.reveal()
    if isinstance(content, bytes):
        if len(content) > _MOST_BYTES:
            reason = f"a Tink keyset has at most {_MOST_BYTES} bytes here"
            raise Malformed(reason)
        if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
            return _parsed_binary(content)
        content = _json(content)
    if not isinstance(content, Mapping):
        reason = "a Tink keyset is a JSON object, or base64 of the binary form"
        raise Malformed(reason)
    if "encryptedKeyset" in content:
        return EncryptedKeyset(_base64(content["encryptedKeyset"]))
    return _selected(_number(content.get("primaryKeyId"), "primaryKeyId"), _keys_of(content.get("key")))


def _json(content: bytes) -> Any:
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        reason = "the Tink keyset is not valid JSON: it was cut short or changed"
    raise Malformed(reason)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        reason = "a member of the Tink keyset appears twice"
        raise Malformed(reason)
    return members


def _keys_of(listed: object) -> list[_Key]:
    """Return the keys of a keyset in JSON."""
    found = []
    for one in listed if isinstance(listed, list) else ():
        data = one.get("keyData", {}) if isinstance(one, Mapping) else None
        if not isinstance(data, Mapping):
            reason = "a key of the Tink keyset is not an object with keyData"
            raise Malformed(reason)
        found.append(
            _Key(
                str(data.get("typeUrl", "")),
                Hidden(_base64(data.get("value", ""))),
                _SYMMETRIC if data.get("keyMaterialType") == "SYMMETRIC" else 0,
                _STATUSES.get(str(one.get("status")), 0),
                _number(one.get("keyId"), "keyId"),
                _PREFIXES.get(str(one.get("outputPrefixType")), 0),
            )
        )
    return found


def _number(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value < 1 << 32:
        reason = f"{name} of the Tink keyset is missing, or not a number of 32 bits"
        raise Malformed(reason)
    return value


def _base64(value: object) -> bytes:
    try:
        return base64.b64decode("".join(value.split()), validate=True) if isinstance(value, str) else b""
    except (binascii.Error, ValueError):
        reason = "a value of the Tink keyset is not base64: it was cut short or changed"
    raise Malformed(reason)


def _parsed_binary(data: bytes) -> TinkKey | EncryptedKeyset:
    if data.startswith(b"\x12"):  # also how the keys of a keyset without a primary one would begin
        found, _ = parsed(data, {2: bytes, 3: bytes})
        return EncryptedKeyset(_bytes(found[2]))
    found, listed = parsed(data, {1: int}, repeated=2)
    keys = []
    for one in listed:
        key, _ = parsed(one, {1: bytes, 2: int, 3: int, 4: int})
        inner, _ = parsed(_bytes(key[1]), {1: bytes, 2: bytes, 3: int})
        name = _bytes(inner[1]).decode("ascii", "replace")
        status, number, prefix = (_int(key[field]) for field in (2, 3, 4))
        keys.append(_Key(name, Hidden(inner[2]), _int(inner[3]), status, number, prefix))
    return _selected(_int(found[1]), keys)


def _selected(primary: int, keys: list[_Key]) -> TinkKey:
    """Return the one key of a keyset that is used."""
    enabled = [key for key in keys if key.status == _STATUSES["ENABLED"]]
    reason = None
    if not keys or len(keys) > _MOST_KEYS:
        reason = "it has no keys" if not keys else f"it has more than {_MOST_KEYS} keys"
    elif any(key.status not in _STATUSES.values() for key in keys):
        reason = "the status of a key is not known"
    elif not enabled:
        reason = "none of its keys is enabled"
    elif len(enabled) > 1:
        reason = (
            f"it has {len(enabled)} enabled keys, and nothing in an object tells which of them it is under; make a "
            "keyset with only the one that is needed (tinkey disable-key, or delete-key)"
        )
    elif enabled[0].id != primary:
        reason = "its primary key is not its enabled one"
    if reason is not None:
        shown = f"the Tink keyset cannot be used: {reason}"
        raise Malformed(shown)
    return _key_of(enabled[0])


def _key_of(key: _Key) -> TinkKey:
    kind = key.type.removeprefix(_TYPES)
    prefix = next((name for name, number in _PREFIXES.items() if number == key.prefix), "unknown")
    if key.material != _SYMMETRIC or not key.type.startswith(_TYPES) or kind not in {_STREAMING, _AEAD}:
        shown = f"type {kind}" if key.type.startswith(_TYPES) and kind.isalnum() else "another type"
        reason = f"the Tink keyset's key is of {shown}; datasets need {_STREAMING}, and keysets {_AEAD}"
    elif kind == _STREAMING and prefix != "RAW":
        reason = f"the Tink keyset's key has the output prefix {prefix}; streams have none: RAW"
    elif kind == _AEAD and prefix not in {"RAW", "TINK"}:
        reason = f"the Tink keyset's key has the output prefix {prefix}; TINK and RAW are supported"
    elif kind == _STREAMING:
        return _streaming(key.value)
    else:
        found, _ = parsed(key.value.reveal(), {1: int, 3: bytes})
        start = b"\x01" + key.id.to_bytes(4, "big") if prefix == "TINK" else b""
        return TinkKey(_checked(_int(found[1]), found[3]), prefix=start)
    raise Malformed(reason)


def _streaming(value: Hidden) -> TinkKey:
    found, _ = parsed(value.reveal(), {1: int, 2: bytes, 3: bytes})
    key = _checked(_int(found[1]), found[3])
    options, _ = parsed(_bytes(found[2]), {1: int, 2: int, 3: int})
    size, derived, hash_ = (_int(options[field]) for field in (1, 2, 3))
    reason = None
    if derived != KEY_SIZE:
        reason = f"its segments are encrypted under {derived} bytes (AES-{8 * derived})"
    elif hash_ != _SHA256:
        reason = f"it derives keys with {_HASHES.get(hash_, 'an unknown hash')}"
    if reason is not None:
        shown = f"the Tink keyset cannot be used: {reason}; tink-gcm-hkdf is AES256_GCM_HKDF with SHA256"
        raise Malformed(shown)
    return TinkKey(key, segment_size=size)


def _checked(version: int, value: Value) -> Hidden:
    """Return the bytes of a key of the one version and size that are used."""
    if version != 0:
        reason = f"the Tink keyset's key is of version {version}; only 0 is known here"
        raise Malformed(reason)
    if len(_bytes(value)) != KEY_SIZE:
        reason = f"the Tink keyset's key has {len(_bytes(value))} bytes; {KEY_SIZE} are needed"
        raise Malformed(reason)
    return Hidden(value)


def _bytes(value: Value) -> bytes:
    return value if isinstance(value, bytes) else b""


def _int(value: Value) -> int:
    return value if isinstance(value, int) else 0


def decrypted(keyset: EncryptedKeyset, by: SecretKey, associated_data: bytes = b"") -> TinkKey | None:
    """Return the key of an encrypted keyset; None if it was encrypted under another key, or was changed.

    Args:
        keyset: the encrypted keyset.
        by: an AES-GCM key of Tink, or a raw key, which Tink calls RAW.
        associated_data: what it was encrypted with; Tink's default is nothing.

    Raises:
        InvalidKey: what was encrypted is no keyset that can be used, or `by` is a key for datasets.
    """
    prefix = _prefix_of(by)
    sealed = keyset.ciphertext
    if not sealed.startswith(prefix) or len(sealed) < len(prefix) + _NONCE + _TAG:
        return None
    nonce, body = sealed[len(prefix) :][:_NONCE], sealed[len(prefix) + _NONCE :]
    try:
        found = parse_keyset(Hidden(AESGCM(by.reveal()).decrypt(nonce, body, associated_data)))
    except InvalidTag:
        return None
    if isinstance(found, EncryptedKeyset):
        message = "the Tink keyset is encrypted twice"
        raise InvalidKey(message)
    return found


def _prefix_of(by: SecretKey) -> bytes:
    if not isinstance(by, TinkKey):
        return b""
    if by.segment_size is not None:
        message = f"the Tink keyset that encrypts another one has a key for streams; it needs one of the type {_AEAD}"
        raise InvalidKey(message)
    return by.prefix


def plain_keyset(key: SecretKey, segment_size: int) -> dict[str, Any]:
    """Return a keyset with a key for tink-gcm-hkdf, as Tink's JSON; write it only to private files.

    Raises:
        ConfigError: the key encrypts keysets.
    """
    number = _new_id()
    entry = {
        "keyData": {
            "typeUrl": _TYPES + _STREAMING,
            "value": base64.b64encode(_streaming_key(key, segment_size).reveal()).decode(),
            "keyMaterialType": "SYMMETRIC",
        },
        "status": "ENABLED",
        "keyId": number,
        "outputPrefixType": "RAW",
    }
    return {"primaryKeyId": number, "key": [entry]}


def encrypted_keyset(key: SecretKey, segment_size: int, by: SecretKey, associated_data: bytes = b"") -> dict[str, Any]:
    """Return a keyset with a key for tink-gcm-hkdf, encrypted by an AES-GCM key, as Tink's JSON.

    Raises:
        ConfigError: the key encrypts keysets.
        InvalidKey: `by` is a key for datasets.
    """
    number, prefix, nonce = _new_id(), _prefix_of(by), os.urandom(_NONCE)
    value = _streaming_key(key, segment_size)
    data = Hidden(message([(1, (_TYPES + _STREAMING).encode()), (2, value.reveal()), (3, _SYMMETRIC)]))
    use = [(2, _STATUSES["ENABLED"]), (3, number), (4, _PREFIXES["RAW"])]
    keyset = Hidden(message([(1, number), (2, message([(1, data.reveal()), *use]))]))
    sealed = prefix + nonce + AESGCM(by.reveal()).encrypt(nonce, keyset.reveal(), associated_data)
    info = {"typeUrl": _TYPES + _STREAMING, "status": "ENABLED", "keyId": number, "outputPrefixType": "RAW"}
    return {
        "encryptedKeyset": base64.b64encode(sealed).decode(),
        "keysetInfo": {"primaryKeyId": number, "keyInfo": [info]},
    }


def _new_id() -> int:
    return int.from_bytes(os.urandom(4), "big") or 1


def _streaming_key(key: SecretKey, segment_size: int) -> Hidden:
    if isinstance(key, TinkKey) and key.segment_size is None:
        message_ = f"this is a Tink key of the type {_AEAD}, which encrypts keysets; no dataset is encrypted with it"
        raise ConfigError(message_)
    options = message([(1, segment_size), (2, KEY_SIZE), (3, _SHA256)])
    return Hidden(message([(2, options), (3, key.reveal())]))
