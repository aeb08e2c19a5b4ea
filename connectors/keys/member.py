"""Members of documents that hold a key, or a reference to one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic_core import PydanticCustomError, core_schema

from connectors.errors import ConfigError, NotSupported
from connectors.keys.contract import KeyReference
from connectors.keys.registry import object_wrapping, reference, source_of, sources
from connectors.secrets import Hidden, SecretKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core.core_schema import SerializationInfo

__all__ = ["DatasetKey", "KeyMember", "ReferenceMember"]


class _Member:
    """Validates a member by its form, and dumps it as it was; without ``{"reveal": True}``, secrets are masked."""

    def __init__(self, *, digits: bool, objects_of: str | None = None) -> None:
        self._digits = digits
        self._objects_of = objects_of

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        del source, handler
        return core_schema.with_info_plain_validator_function(
            self._validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, return_schema=core_schema.any_schema()
            ),
        )

    def _validate(self, value: object, info: core_schema.ValidationInfo) -> SecretKey | KeyReference:
        hidden = Hidden(value)
        del value
        wraps = self._objects_of is not None and info.data.get("format") == self._objects_of
        if isinstance(hidden.reveal(), KeyReference):
            found: KeyReference = hidden.reveal()
            if wraps == _wraps_objects(found):
                return found
            hidden = Hidden(found.document())
        if self._digits and not isinstance(hidden.reveal(), dict):
            if not wraps:
                return SecretKey.of_member(hidden)
            problem = f"with the format {self._objects_of} each object has its own key: name what wraps these, as in"
            problem += ' {"source": "aws-kms", "key_id": "…", …}'
        else:
            try:
                if not self._digits:
                    _check_depth(hidden)
                return object_wrapping(hidden) if wraps else reference(hidden)
            except (ConfigError, NotSupported) as error:
                problem = f"{error}{self._hint(hidden, wraps=wraps)}"
        failure = PydanticCustomError("key", "{problem}", {"problem": problem})
        raise failure

    def _hint(self, hidden: Hidden, *, wraps: bool) -> str:
        """Return the end of a message about a document that would be valid with another format."""
        if self._objects_of is None:
            return ""
        try:
            _ = reference(hidden) if wraps else object_wrapping(hidden)
        except (ConfigError, NotSupported):
            return ""
        if wraps:
            return f"; with the format {self._objects_of} each object has its own key: name only what wraps them"
        return (
            f"; a reference without a key in it, to what wraps the keys of objects, needs the format {self._objects_of}"
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        del schema
        models = [one.source.Reference for one in sources() if one.source is not None]
        if not self._digits:  # else a schema would contain itself, without end
            models = [model for model in models if "by" not in model.model_fields]
        if self._objects_of is not None:
            wrappings = [one.source.ObjectWrapping for one in sources() if one.source is not None]
            models += [model for model in wrappings if model is not None]
        references = [handler(model.__pydantic_core_schema__) for model in models]
        if not self._digits:
            references.append({"type": "object", "properties": {"source": {"const": "tink"}}, "required": ["source"]})
        plain = [SecretKey.__get_pydantic_json_schema__(core_schema.any_schema(), handler)] if self._digits else []
        return {"anyOf": [*plain, *references]}


def _wraps_objects(found: KeyReference) -> bool:
    model = source_of(found.source).ObjectWrapping
    return model is not None and type(found) is model


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


DatasetKey = Annotated[SecretKey | KeyReference, _Member(digits=True, objects_of="s3-encryption-client")]
"""A `KeyMember` of a model that has `format` before it: with that format, it is what wraps the objects' keys."""
KeyMember = Annotated[SecretKey | KeyReference, _Member(digits=True)]
"""A key: 64 hexadecimal digits, or a reference to one."""
ReferenceMember = Annotated[KeyReference, _Member(digits=False)]
"""A reference to a key."""
