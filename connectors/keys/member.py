"""Members of documents that hold a key, or a reference to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError, core_schema

from connectors.errors import ConfigError
from connectors.keys.contract import KeyReference
from connectors.keys.registry import reference, sources
from connectors.secrets import Hidden, SecretKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import SerializationInfo

__all__ = ["KeyMember", "ReferenceMember"]


class _Member:
    """Validates a member by its form, and dumps it as it was; without ``{"reveal": True}``, secrets are masked."""

    def __init__(self, *, digits: bool) -> None:
        self._digits = digits

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        del source, handler
        return core_schema.no_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, return_schema=core_schema.any_schema()
            ),
        )

    def _validate(self, value: object) -> SecretKey | KeyReference:
        hidden = Hidden(value)
        del value
        if isinstance(hidden.reveal(), KeyReference):
            found: KeyReference = hidden.reveal()
            return found
        if self._digits and not isinstance(hidden.reveal(), dict):
            return SecretKey.of_member(hidden)
        try:
            if not self._digits:
                _check_depth(hidden)
            return reference(hidden)
        except ConfigError as error:
            failure = PydanticCustomError("key", "{problem}", {"problem": str(error)})
        raise failure

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema
        models = [one.source.Reference for one in sources() if one.source is not None]
        if not self._digits:  # else a schema would contain itself, without end
            models = [model for model in models if "by" not in model.model_fields]
        references = [handler(model.__pydantic_core_schema__) for model in models]
        if not self._digits:
            references.append({"type": "object", "properties": {"source": {"const": "tink"}}, "required": ["source"]})
        plain = [SecretKey.__get_pydantic_json_schema__(core_schema.any_schema(), handler)] if self._digits else []
        return {"anyOf": [*plain, *references]}


def _check_depth(hidden: Hidden) -> None:
    """Refuse a wrapping key that is wrapped itself under one that is: a stranger's document has no end of them."""
    value = hidden.reveal()
    inner = value.get("by") if isinstance(value, dict) else None
    deep = isinstance(inner, dict) and "by" in inner
    del value, inner
    if deep:
        message = "by.by.by: a key that wraps a wrapping key is not wrapped itself; name its own source"
        raise ConfigError(message)


def _serialize(value: SecretKey | KeyReference, info: SerializationInfo) -> str | Mapping[str, Any]:
    reveal = bool((info.context or {}).get("reveal"))
    if isinstance(value, SecretKey):
        return value.reveal().hex() if reveal else str(value)
    if reveal:
        return value.document()
    return {"source": value.source, **value.model_dump(mode="json", exclude_defaults=True)}


KeyMember = Annotated[SecretKey | KeyReference, _Member(digits=True)]
"""A key: 64 hexadecimal digits, or a reference to one."""
ReferenceMember = Annotated[KeyReference, _Member(digits=False)]
"""A reference to a key."""
