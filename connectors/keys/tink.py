"""The key source ``tink``: a keyset of Tink, which also says with which segment size its key is used."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError, core_schema

from connectors.errors import ConfigError, InvalidKey, KeyRefused
from connectors.keys.contract import KeyReference, KeySource
from connectors.keys.files import read_below
from connectors.keys.keysets import EncryptedKeyset, decrypted, encrypted_keyset, parse_keyset
from connectors.keys.member import ReferenceMember  # noqa: TC001 - pydantic reads it
from connectors.keys.registry import source_of
from connectors.keys.resolving import resolve
from connectors.secrets import Hidden, SecretText, TinkKey

if TYPE_CHECKING:
    from typing import Self

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import SerializationInfo

    from connectors.secrets import SecretKey

__all__ = ["Keyset", "TinkKeyset"]


class Keyset(SecretText):
    """A keyset in a document: Tink's JSON object, or base64 of its binary form. It is checked when it is read."""

    __slots__ = ()

    def parsed(self) -> TinkKey | EncryptedKeyset:
        """Return its key, or the keyset that has to be decrypted first.

        Raises:
            InvalidKey: it is no keyset, or none that can be used here.
        """
        text = Hidden(self.reveal())
        if text.reveal().startswith("{"):
            return parse_keyset(Hidden(text.reveal().encode()))
        try:
            return parse_keyset(Hidden(base64.b64decode("".join(text.reveal().split()), validate=True)))
        except (binascii.Error, ValueError) as error:
            problem = str(error) if isinstance(error, InvalidKey) else "it is not base64 of a binary Tink keyset"
        raise InvalidKey(problem)

    @classmethod
    def of_member(cls, value: object) -> Self:
        """Return the keyset in a document's member, which may be any JSON value."""
        hidden = Hidden(value)
        del value
        given = hidden.reveal()
        if isinstance(given, cls):
            return given
        found, problem = None, "a Tink keyset is a JSON object, or base64 of its binary form"
        try:
            if isinstance(given, Mapping):
                found = cls(json.dumps(given))
            elif isinstance(given, str) and not given.lstrip().startswith("{"):
                found = cls(given)
            elif isinstance(given, str):
                problem = "a Tink keyset in JSON is an object, without quotation marks around it"
        except (TypeError, ValueError, RecursionError):
            problem = "the Tink keyset is not valid JSON"
        del given
        if found is not None:
            try:
                found.parsed()
            except InvalidKey as error:
                problem = str(error)
            else:
                return found
        failure = PydanticCustomError("keyset", "{problem}", {"problem": problem})
        raise failure

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            cls.of_member,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, return_schema=core_schema.any_schema()
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        text = super().__get_pydantic_json_schema__(schema, handler)
        return {"anyOf": [{"type": "object", "writeOnly": True}, {**text, "contentEncoding": "base64"}]}


def _serialize(keyset: Keyset, info: SerializationInfo) -> Any:
    if not (info.context or {}).get("reveal"):
        return str(keyset)
    text = keyset.reveal()
    return json.loads(text) if text.startswith("{") else text


class TinkWrapping(KeyReference):
    """The key that encrypts the keyset, and how the keyset's own key is used."""

    source: Literal["tink"] = "tink"
    by: ReferenceMember = Field(
        description="The reference of the key that encrypts the keyset: a Tink keyset of AES256_GCM, or a raw key."
    )
    associated_data: str = Field(default="", description="What the keyset is encrypted with, as UTF-8; Tink's default.")
    segment_size: int = Field(
        default=1 << 20, ge=57, le=1 << 26, strict=True, description="Bytes in a sealed segment, tag included."
    )


class TinkReference(KeyReference):
    """A Tink keyset."""

    source: Literal["tink"] = "tink"
    keyset: Keyset | None = Field(
        default=None,
        description=(
            "The keyset, with one enabled key, an AesGcmHkdfStreamingKey of 32 bytes: Tink's JSON, or base64 of the "
            "binary form; plain, or encrypted by the key in `by`."
        ),
    )
    path: str | None = Field(
        default=None,
        min_length=1,
        description="Instead, a file with the keyset, JSON or binary: a path as `path` of the source file.",
    )
    by: ReferenceMember | None = Field(
        default=None,
        description=(
            "The reference of the key that encrypts the keyset: a Tink keyset of AES256_GCM, or a raw key; null if the "
            "keyset is plain."
        ),
    )
    associated_data: str = Field(
        default="", description="What the keyset was encrypted with, as UTF-8; empty is Tink's default."
    )

    @model_validator(mode="after")
    def _check_members(self) -> Self:
        if (self.keyset is None) == (self.path is None):
            message = "give the keyset in one way: keyset or path"
            raise ValueError(message)
        if self.by is None and self.associated_data:
            message = "associated_data: only an encrypted keyset has it; name the key that encrypts it: by"
            raise ValueError(message)
        if self.keyset is not None:
            problem = _mismatch(self.keyset.parsed(), encrypted=self.by is not None)
            if problem is not None:
                raise ValueError(problem)
        return self


def _mismatch(found: TinkKey | EncryptedKeyset, *, encrypted: bool) -> str | None:
    if isinstance(found, EncryptedKeyset) and not encrypted:
        return (
            "the Tink keyset is encrypted; name the key that encrypts it, as in "
            '{"source": "tink", "keyset": …, "by": {"source": "file", …}}'
        )
    if encrypted and not isinstance(found, EncryptedKeyset):
        return "the Tink keyset is not encrypted, and needs no key in `by`"
    return None


class TinkKeyset(KeySource):
    """A Tink keyset: ``{"source": "tink", "keyset": {"primaryKeyId": …, "key": […]}}``.

    Keysets that tinkey encrypted by a key of a cloud's KMS cannot be used: the service would have to decrypt more than
    a key. Encrypt them by a key of their own, which the service may wrap.
    """

    name = "tink"
    summary = "a Tink keyset"
    Reference = TinkReference
    Wrapping = TinkWrapping

    def unwrap(self, reference: TinkReference, root: str | None) -> SecretKey:
        """Return the key of the keyset, a `TinkKey`; raises as the contract and the source of `by` say."""
        if reference.keyset is not None:
            found = reference.keyset.parsed()
        else:
            found = parse_keyset(read_below(root, str(reference.path), "Tink keyset"))
        problem = _mismatch(found, encrypted=reference.by is not None)
        if problem is not None:
            raise InvalidKey(problem)
        if isinstance(found, TinkKey) or reference.by is None:
            return found  # type: ignore[return-value]  # without `by`, it is plain
        key = decrypted(found, resolve(reference.by, root), reference.associated_data.encode())
        if key is None:
            message = (
                f"the Tink keyset is not encrypted by {_holder(reference.by)}, or with other associated data: name the "
                "key that encrypts it, or the document was changed"
            )
            raise KeyRefused(message)
        return key

    def wrap(self, key: SecretKey, wrapping: TinkWrapping, root: str | None) -> TinkReference:
        """Return a reference to a new keyset with the key, encrypted by the key in `by`."""
        if isinstance(key, TinkKey) and key.segment_size not in {None, wrapping.segment_size}:
            message = (
                f"the key is of a Tink keyset with segments of {key.segment_size} bytes, not {wrapping.segment_size}; "
                f"give segment_size={key.segment_size}"
            )
            raise ConfigError(message)
        made = encrypted_keyset(
            key, wrapping.segment_size, resolve(wrapping.by, root), wrapping.associated_data.encode()
        )
        return TinkReference(keyset=Keyset(json.dumps(made)), by=wrapping.by, associated_data=wrapping.associated_data)

    def holder(self, reference: TinkReference | TinkWrapping) -> str:
        """Return where the keyset is, or what encrypts it."""
        if reference.by is not None:
            return f"a Tink keyset encrypted by {_holder(reference.by)}"
        path = reference.path if isinstance(reference, TinkReference) else None
        return "a Tink keyset in the document" if path is None else f"the Tink keyset {path}"


def _holder(reference: KeyReference) -> str:
    return source_of(reference.source).holder(reference)
