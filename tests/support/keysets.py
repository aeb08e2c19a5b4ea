"""Keysets of Tink, and what its own library does with them."""

from __future__ import annotations

import base64
import io
import json
import os
from typing import TYPE_CHECKING, Any

import tink
from tink import aead, secret_key_access, streaming_aead
from tink.proto import tink_pb2

import connectors
from connectors.errors import ConfigError
from connectors.keys import forget, reference, resolve
from connectors.secrets import SecretKey
from connectors.testing import KeyService

if TYPE_CHECKING:
    from pathlib import Path

KEY = SecretKey(bytes(range(32)))
PLAIN = os.urandom(20_000)
TEMPLATES = streaming_aead.streaming_aead_key_templates
AEADS = aead.aead_key_templates
TOKEN = secret_key_access.TOKEN
CONTEXTS = ["", "input/conditions"]
RAW_AEAD = tink_pb2.KeyTemplate()
RAW_AEAD.CopyFrom(AEADS.AES256_GCM)
RAW_AEAD.output_prefix_type = tink_pb2.RAW


def as_json(handle: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(tink.json_proto_keyset_format.serialize(handle, TOKEN))
    return found


def as_binary(handle: Any) -> str:
    return base64.b64encode(tink.proto_keyset_format.serialize(handle, TOKEN)).decode()


def parsed_by_tink(keyset: dict[str, Any]) -> Any:
    return tink.json_proto_keyset_format.parse(json.dumps(keyset), TOKEN)


def key_of(document: dict[str, Any], root: str | None = None) -> SecretKey:
    found = reference(document)
    forget([found], root)
    return resolve(found, root)


class Kept(io.BytesIO):
    """A file whose bytes stay after Tink has closed it."""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


def written_by_tink(handle: Any, context: str = "") -> bytes:
    sealed = Kept()
    with handle.primitive(streaming_aead.StreamingAead).new_encrypting_stream(sealed, context.encode()) as stream:
        stream.write(PLAIN)
    return sealed.kept


def read_by_tink(handle: Any, sealed: bytes, context: str = "") -> bytes:
    stream = handle.primitive(streaming_aead.StreamingAead).new_decrypting_stream(io.BytesIO(sealed), context.encode())
    data: bytes = stream.read()
    return data


def dataset(key: Any, sealed: bytes | None = None, **encryption: Any) -> connectors.Dataset:
    location = f"memory://tink/{os.urandom(8).hex()}"
    if sealed is not None:
        connectors.Dataset(location, {"encryption": None}).write_bytes(sealed)
    return connectors.Dataset(location, {"encryption": {"key": key, **encryption}})


def sealed_bytes(made: connectors.Dataset) -> bytes:
    return connectors.Dataset(made.location, {"encryption": None}).read_bytes()


def context_of(context: str) -> dict[str, str]:
    return {"context": context} if context else {}


class Encrypted(KeyService):
    """Keysets that a key in a file encrypts: to refuse is to put another key there; to vanish is to remove it."""

    source = "tink"
    shown = ("kek",)
    outage = ConfigError

    def __init__(self, folder: Path) -> None:
        self.kek = folder / "kek"
        self.put(as_json(tink.new_keyset_handle(AEADS.AES256_GCM)))

    def put(self, keyset: dict[str, Any]) -> None:
        self.kek.touch(0o600)
        self.kek.write_text(json.dumps(keyset))
        self.key = SecretKey(base64.b64decode(keyset["key"][0]["keyData"]["value"])[2:])

    def secrets(self) -> list[str]:
        raw = self.key.reveal()
        return [raw.hex(), base64.b64encode(raw).decode(), base64.b64encode(b"\x1a\x20" + raw).decode()]

    def wrapping(self) -> dict[str, Any]:
        return {"source": "tink", "by": {"source": "file", "path": str(self.kek)}}

    def refuse(self) -> None:
        self.put(as_json(tink.new_keyset_handle(AEADS.AES256_GCM)))

    def vanish(self) -> None:
        self.kek.unlink()
