"""The base of all pydantic models here: its errors hold no value.

A `pydantic.ValidationError` keeps the input, which may be or contain a secret, and returns it from `errors()` and
`json()`, whatever ``hide_input_in_errors`` says; programs log both. Here every error is rebuilt without the input and
the original error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from connectors.secrets import Hidden

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import ModelWrapValidatorHandler

__all__ = ["Model", "SecretModel", "printable_name", "without_values"]

T = TypeVar("T")

_SHOWABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,29}")
"""What a member's name looks like; a secret in the place of a name is longer or looks different."""
_MOST_ERRORS = 10_000
"""Errors that are listed; a stranger's document can have millions, each with a copy of all names that lead to it."""


class Model(BaseModel):
    """A pydantic model whose errors hold no value, however it is made: from Python objects, JSON or strings."""

    def __init__(self, /, **members: Any) -> None:
        hidden = Hidden(members)
        del members  # so that a traceback that prints locals does not print them
        without_values(lambda: super(Model, self).__init__(**hidden.reveal()), self.shown_name)

    # Without this mark, pydantic would call `__init__` to validate JSON, with other rules.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Validate a Python object; see pydantic."""
        hidden = Hidden(obj)
        del obj
        return without_values(lambda: super(Model, cls).model_validate(hidden.reveal(), **options), cls.shown_name)

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Validate JSON; see pydantic."""
        hidden = Hidden(json_data)
        del json_data
        return without_values(lambda: super(Model, cls).model_validate_json(hidden.reveal(), **options), cls.shown_name)

    @classmethod
    def model_validate_strings(cls, obj: Any, **options: Any) -> Self:
        """Validate an object of strings; see pydantic."""
        hidden = Hidden(obj)
        del obj
        return without_values(
            lambda: super(Model, cls).model_validate_strings(hidden.reveal(), **options), cls.shown_name
        )

    def __setattr__(self, name: str, value: Any) -> None:
        hidden = Hidden(value)
        del value
        without_values(lambda: super(Model, self).__setattr__(name, hidden.reveal()), self.shown_name)

    @classmethod
    def shown_name(cls, name: str) -> str:
        """Return what an error calls a member; a subclass may hide names that may be secrets."""
        return name


def without_values(work: Callable[[], T], shown_name: Callable[[str], str]) -> T:
    """Return what `work` returns; if it raises a `pydantic.ValidationError`, raise it anew without the input.

    The types, the locations and the messages stay.

    Args:
        work: validates something.
        shown_name: returns what the error calls a member.
    """
    try:
        return work()
    except ValidationError as error:
        title, details = error.title, _bare_details(error, shown_name)
    # Raised outside the handler: the original error must not become its context.
    raise ValidationError.from_exception_data(title, details, hide_input=True)


def _bare_details(error: ValidationError, shown_name: Callable[[str], str]) -> list[InitErrorDetails]:
    if error.error_count() > _MOST_ERRORS:
        many = PydanticCustomError("too_many_errors", "more than {most} problems", {"most": _MOST_ERRORS})
        return [{"type": many, "loc": (), "input": None}]
    return [
        {
            "type": PydanticCustomError(detail["type"], detail["msg"]),
            "loc": tuple(shown_name(part) if isinstance(part, str) else part for part in detail["loc"]),
            "input": None,
        }
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    ]


_CLOSED = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, ser_json_inf_nan="strings")


class SecretModel(Model):
    """A document that holds secrets, or a part of one: it does not pickle, and its errors hold no value.

    That is also true where it is a member of another model.
    """

    model_config = _CLOSED

    @model_validator(mode="wrap")
    @classmethod
    def _hide_values(cls, members: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        hidden = Hidden(members)
        del members
        return without_values(lambda: handler(hidden.reveal()), cls.shown_name)

    @classmethod
    def shown_name(cls, name: str) -> str:
        """Return a member's name, or "…" if it may be a secret."""
        return printable_name(name)

    def __reduce__(self) -> NoReturn:
        message = (
            f"{type(self).__name__} holds secrets and does not pickle; "
            "send the app config's location instead and load it in the other process"
        )
        raise TypeError(message)


def printable_name(name: str) -> str:
    """Return a name from a document for a message, or "…" if it may be a secret.

    >>> printable_name("acess_key_id"), printable_name("5EC2E7" * 10)
    ('acess_key_id', '…')
    """
    return name if _SHOWABLE_NAME.fullmatch(name) else "…"
