"""The base of all workflow documents: member types, canonical form and digest.

Each document is a frozen pydantic model with one canonical form (see `canonical`), whose digest names it.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints, ValidationError

from connectors.errors import InvalidDocument
from connectors.models import Model
from connectors.names import is_safe_name, quoted, steering
from connectors.workflow.documents.canonical import canonical_bytes, digest_of, parse_canonical

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "SHOWN",
    "Base64",
    "Digest",
    "Document",
    "Labels",
    "Line",
    "Moment",
    "Name",
    "Part",
    "Text",
    "Word",
    "first_of",
    "listed",
    "moment_of",
    "moment_text",
]

_MODEL = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True, populate_by_name=True)
D = TypeVar("D", bound="Document")
_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$"  # \d matches the digits of all scripts
SHOWN = 10
"""Problems, or known names, that one message lists."""
_PART = 100
_MEMBER = re.compile(r"[A-Za-z0-9_\[\]-]+")
_NO_CONTROLS = "without control characters, including those that change the direction of text"


def _check_text(text: str) -> str:
    letter = steering(text.replace("\n", "").replace("\t", ""))
    if letter:
        message = f"it must be text {_NO_CONTROLS}; it has {_code(letter)}"
        raise ValueError(message)
    return text


def _check_line(text: str) -> str:
    letter = steering(text)
    if letter or text.strip() != text:
        found = f"; it has {_code(letter)}" if letter else ""
        message = f"it must be one line of text {_NO_CONTROLS}, and without surrounding white space{found}"
        raise ValueError(message)
    return text


def _code(letter: str) -> str:
    return f"U+{ord(letter):04X}"


def _check_name(name: str) -> str:
    if not is_safe_name(name):
        message = (
            "it becomes a folder's name: at most 255 characters, no slashes, no leading dot, no surrounding white "
            f"space, {_NO_CONTROLS}"
        )
        raise ValueError(message)
    return name


def _check_moment(text: str) -> str:
    moment_of(text)
    return text


def _check_base64(text: str) -> str:
    try:
        same = base64.b64encode(base64.b64decode(text, validate=True)).decode() == text
    except binascii.Error:
        same = False
    if not same:  # the last character may hold bits that decoders ignore
        message = "it must be base64 with padding"
        raise ValueError(message)
    return text


def moment_of(text: str) -> datetime:
    """Parse a document's `Moment`.

    >>> moment_of("2026-01-02T03:04:05Z").year
    2026
    """
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def moment_text(when: datetime) -> str:
    """Return a time as a document's `Moment`."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in lower-case hexadecimal digits."""
Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_check_line)]
"""One line of text."""
Word = Annotated[str, AfterValidator(_check_line)]
"""Text without white space around it, of any length: for members whose pattern allows none inside either."""
Name = Annotated[str, AfterValidator(_check_name)]
"""A name that can name a folder."""
Moment = Annotated[str, StringConstraints(pattern=_MOMENT), AfterValidator(_check_moment)]
"""A time in UTC, to the second: 2026-01-02T03:04:05Z."""
Base64 = Annotated[str, AfterValidator(_check_base64)]
Text = Annotated[str, StringConstraints(max_length=1 << 20), AfterValidator(_check_text)]
"""Text of any number of lines."""
Labels = Annotated[
    dict[Line, Annotated[str, StringConstraints(max_length=1000), AfterValidator(_check_text)]], Field(max_length=1000)
]


class Part(Model):
    """A part of a document."""

    model_config = _MODEL


class Document(Part):
    """A document: its members, its bytes and its name."""

    kind: ClassVar[str]

    @classmethod
    def schema_name(cls) -> str:
        """Return the value of the member ``schema`` in such a document."""
        return f"enclave-connectors workflow {cls.kind} 1"

    def members(self) -> dict[str, Any]:
        """Return its members as JSON values, without those that are null."""
        return {"schema": self.schema_name(), **self.model_dump(mode="json", by_alias=True, exclude_none=True)}

    def to_bytes(self) -> bytes:
        """Return its canonical bytes."""
        return canonical_bytes(self.members())

    @property
    def digest(self) -> str:
        """The digest that names it: the SHA-256 of its bytes."""
        return self._digest

    @cached_property
    def _digest(self) -> str:  # pydantic would take another name for a member
        return digest_of(self.to_bytes())

    def __copy__(self) -> Self:
        """Return a copy without the cached digest: `model_copy` changes its members."""
        return _without_cached(super().__copy__())

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Return a deep copy without the cached digest."""
        return _without_cached(super().__deepcopy__(memo))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a document.

        Raises:
            InvalidDocument: the bytes are not the canonical form of such a document.
        """
        return cls.from_members(parse_canonical(data))

    @classmethod
    def make(cls, **members: Any) -> Self:
        """Return a new document with these members, given as Python objects.

        Raises:
            InvalidDocument: they break a rule, each of which the message names with its member.
        """
        return cls._checked(lambda: cls(**members))

    @classmethod
    def _checked(cls, build: Callable[[], Self]) -> Self:
        try:
            return build()
        except ValidationError as error:
            problems = problems_of(error)
        message = f"the {cls.kind} breaks rules: {problems}"
        raise InvalidDocument(message)

    @classmethod
    def from_members(cls, members: dict[str, Any]) -> Self:
        """Return the document with these members, given as JSON values.

        Raises:
            InvalidDocument: they break a rule, each of which the message names with its member.
        """
        expected = cls.schema_name()
        rest = {name: value for name, value in members.items() if name != "schema"}
        if members.get("schema") != expected:
            message = f"this is not of the kind {cls.kind!r}: its schema is not {expected!r}"
            raise InvalidDocument(message)
        made = cls._checked(lambda: cls.model_validate_json(canonical_bytes(rest)))
        again = made.members()
        if again != members:
            # For example a null that could be left out: two forms of one document.
            odd = sorted(name for name in {**again, **members} if again.get(name, ...) != members.get(name, ...))
            message = f"the {cls.kind} is not in canonical form: {', '.join(odd)}; write it again"
            raise InvalidDocument(message)
        return made


def _without_cached(made: D) -> D:
    for name in set(made.__dict__) - set(type(made).model_fields):
        del made.__dict__[name]
    return made


def problems_of(error: ValidationError) -> str:
    """Describe the rules that are broken, each with the member's name but not its value."""
    return first_of(
        f"{_place(detail['loc'])}: {detail['msg'].removeprefix('Value error, ')}"
        for detail in error.errors(include_url=False, include_context=False, include_input=False)
    )


def _place(where: tuple[int | str, ...]) -> str:
    return ".".join(_called(str(one)[:_PART]) for one in where) or "it"


def _called(name: str) -> str:
    """Return a member's name, in quotes unless it looks like one: a stranger can choose it."""
    return name if _MEMBER.fullmatch(name) else quoted(name)


def listed(names: Iterable[str]) -> str:
    """Join names for a message; of many, the first alone."""
    found = list(islice(names, SHOWN + 1))
    return ", ".join([*found[:SHOWN], "…"] if len(found) > SHOWN else found)


def first_of(problems: Iterable[str]) -> str:
    """Join problems for a message; of many, the first alone: a stranger's document can have any number."""
    found = list(islice(problems, SHOWN + 1))
    return "; ".join(found[:SHOWN]) + ("; and more" if len(found) > SHOWN else "")
