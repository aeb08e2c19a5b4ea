"""What the models of credentials documents share: rules for members, and exactly one way to authenticate.

A rule is a part of a member's type, as in ``region: Annotated[str, matching(_REGION, "not a region")] | None``. Its
message never quotes the member, which may be a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from connectors.credentials.model import Credentials
from connectors.secrets import SecretText
from connectors.storage.endpoints import HIDES_NOTHING, endpoint_problem, sends_in_the_clear

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Sequence

__all__ = ["BucketCredentials", "SecretWord", "Way", "Word", "checked", "exactly_one_way", "matching", "word_problem"]

_QUOTES = "\"'“”„‘’"  # noqa: RUF001 - editors insert these


_HINTS = {
    "anonymous": 'for a public object add "anonymous": true',
    "ambient": 'for the credentials that this machine provides "ambient": true',
}
"""What to say, besides, about ways that are members of these names."""


def checked(problem: Callable[[Any], str | None]) -> AfterValidator:
    """Return the rule that `problem`, which returns what is wrong with a member or None, returns None."""

    def check(value: Any) -> Any:
        found = problem(value)
        if found is not None:
            raise ValueError(found)
        return value

    return AfterValidator(check)


def matching(pattern: re.Pattern[str], problem: str) -> AfterValidator:
    """Return the rule that a whole text, secret or not, matches a pattern; `problem` says what is wrong otherwise."""
    return checked(lambda value: None if pattern.fullmatch(_text_of(value)) else problem)


def word_problem(value: str | SecretText, *, chosen: bool = False) -> str | None:
    """Return what is wrong with an ID, a key or a token that is sent in a header, or None.

    Args:
        value: the text.
        chosen: whether it can be any text that a person chose, which may begin or end with a quotation mark.

    >>> word_problem("two words")
    'contains white space or other characters that are not allowed here'
    """
    text = _text_of(value)
    if not text:
        return "empty; leave it out if there is none"
    quotes = [text[0] in _QUOTES, text[-1] in _QUOTES]
    if all(quotes) or (any(quotes) and not chosen):
        return "has quotation marks in addition to those of JSON; remove them"
    if not text.isprintable() or not text.isascii() or " " in text:
        return "contains white space or other characters that are not allowed here"
    return None


def _text_of(value: str | SecretText) -> str:
    return value.reveal() if isinstance(value, SecretText) else value


Word = Annotated[str, checked(word_problem)]
"""The type of a member with an ID that is sent in a header."""
SecretWord = Annotated[SecretText, checked(word_problem)]
"""The type of a member with a key or token that is sent in a header."""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to authenticate.

    Attributes:
        members: the members that it needs. One of them that is neither null nor false says that this way is meant,
            unless it is among the `extras` of a way that is.
        extras: members that this way may have besides. With another way they are an error, unless it needs them.
        title: what they are together, for messages; empty if the members explain themselves.
    """

    members: tuple[str, ...]
    extras: tuple[str, ...] = ()
    title: str = ""

    def __str__(self) -> str:
        first, *others = self.members
        return f"{first} (with {_and(others)})" if others else first


def exactly_one_way(credentials: object, ways: Sequence[Way], missing: str = "") -> str | None:
    """Return what is wrong with the ways to authenticate that a document gives, or None.

    There must be exactly one of them, with all of its members, and no extras of others.

    Args:
        credentials: the document's model.
        ways: all the ways.
        missing: what to say if there is none; if it is empty, the ways are listed.
    """

    def given(name: str) -> bool:
        return getattr(credentials, name) not in (None, False)

    sure = [way for way in ways if any(given(one) and not _is_extra(one, ways) for one in way.members)]
    chosen = [way for way in ways if any(given(one) and not _is_extra(one, sure) for one in way.members)]
    listed = f"give exactly one of {_and([str(way) for way in ways])}"
    if not chosen:
        hints = ", ".join(hint for name, hint in _HINTS.items() if any(name in way.members for way in ways))
        told = missing or f"no credentials are given: {listed}"
        return f"{told}; {hints}" if hints else told
    if len(chosen) > 1:
        return listed
    (way,) = chosen
    absent = [one for one in way.members if not given(one)]
    if absent:
        rule = f"{way.title} needs all of {_and(way.members)}" if way.title else f"{_and(way.members)} go together"
        return f"{rule}; {_and(absent)} {'is' if len(absent) == 1 else 'are'} missing"
    for other in ways:
        for extra in other.extras:
            if given(extra) and extra not in way.members + way.extras:
                return f"{extra} needs {_and(other.members)}"
    return None


def _is_extra(name: str, ways: Sequence[Way]) -> bool:
    return any(name in way.extras for way in ways)


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


class BucketCredentials(Credentials):
    """The base of the credentials of stores of buckets, some of whose objects are public.

    A subclass may declare `endpoint_url` anew, with a description of its own.

    Attributes:
        ways: the ways to authenticate.
        missing: what to say if a document gives none; if it is empty, the ways are listed.
        endpoint_example: an URL of an endpoint, for the message about an invalid one.
    """

    ways: ClassVar[tuple[Way, ...]]
    missing: ClassVar[str] = ""
    endpoint_example: ClassVar[str] = "https://storage.example.org"

    endpoint_url: str | None = Field(default=None, description="URL of the store if it is not the vendor's own.")
    allow_http: bool = Field(
        default=False, strict=True, description="Also allow http:// for an endpoint that is not a loopback address."
    )
    anonymous: bool = Field(default=False, strict=True, description="Send unsigned requests: the object is public.")

    @field_validator("endpoint_url")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        problem = None if value is None else cls.endpoint_problem(value)
        if problem is not None:
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = exactly_one_way(self, self.ways, self.missing) or self.contradiction()
        if problem is None and self.endpoint_url and (clear := self.clear_problem(self.endpoint_url)):
            problem = f"endpoint_url: {clear}"
        if problem is not None:
            raise ValueError(problem)
        return self

    @classmethod
    def endpoint_problem(cls, url: str) -> str | None:
        """Return what is wrong with the URL of an endpoint, without quoting any of it, or None."""
        return endpoint_problem(url, example=cls.endpoint_example)

    def contradiction(self) -> str | None:
        """Return what else is wrong with members that do not fit together, or None."""
        return None

    def clear_problem(self, url: str) -> str | None:
        """Return what is wrong with a server's URL if it sends requests unencrypted without `allow_http`, or None."""
        return HIDES_NOTHING if sends_in_the_clear(url) and not self.allow_http else None
