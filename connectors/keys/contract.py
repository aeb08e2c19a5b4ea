"""The contract of key sources: a reference in a document becomes a key, and a key becomes a reference."""

from __future__ import annotations

import base64
import binascii
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema

from connectors.errors import NotSupported
from connectors.models import SecretModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.secrets import SecretKey

__all__ = ["KeyReference", "KeySource", "ObjectKeyService", "Wrapped"]

_MOST_WRAPPED = 1 << 16
"""Bytes of the largest wrapped key: services add names and signatures to its 32."""


def _decoded(value: object) -> object:
    """Return base64 text as bytes; line breaks in it are those of command-line tools."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        message = "base64 text is expected; this was cut short or changed: copy it again"
    raise ValueError(message)


def _sized(value: bytes) -> bytes:
    if not 0 < len(value) <= _MOST_WRAPPED:
        message = "it is empty" if not value else f"a wrapped key has at most {_MOST_WRAPPED} bytes"
        raise ValueError(message)
    return value


Wrapped = Annotated[
    bytes,
    BeforeValidator(_decoded),
    AfterValidator(_sized),
    PlainSerializer(lambda value: base64.b64encode(value).decode(), return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "contentEncoding": "base64"}),
]
"""A wrapped key in a reference: bytes, which are base64 text in the document."""


class KeyReference(SecretModel):
    """The base of references: subclass it for each source, with its own members.

    A subclass declares `source` as a `Literal` of the source's name, with that name as the default. Use `SecretText`
    for secrets, and `Wrapped` for a wrapped key.
    """

    source: str

    def document(self) -> dict[str, Any]:
        """Return the reference as it is written in a document, including its secrets; write it only to private files.

        Members that have their defaults are left out.
        """
        members = self.model_dump(mode="json", exclude_defaults=True, context={"reveal": True})
        return {"source": self.source, **members}


class ObjectKeyService(ABC):
    """Wraps the keys of a dataset's objects, each of which has a key of its own, and opens them again.

    Attributes:
        context: what the document binds to each of the keys.
    """

    context: Mapping[str, str]

    @abstractmethod
    def open(self, wrapped: bytes, context: Mapping[str, str]) -> SecretKey:
        """Return a key that was wrapped with a context.

        Raises:
            KeyRefused, KeyUnavailable, InvalidKey: as for `KeySource.unwrap`.
        """

    @abstractmethod
    def seal(self, key: SecretKey, context: Mapping[str, str]) -> bytes:
        """Return a key, wrapped with a context. The errors are those of `KeySource.wrap`."""


class KeySource(ABC):
    """Turns references into keys. Subclass it, and register it under the entry-point group ``connectors.keys``.

    An instance is created for each use, and holds no key.

    Attributes:
        name: the name in a reference's `source`, and of the entry point.
        summary: what it is, in one line of a table: ``AWS KMS``.
        Reference: the model of its references.
        Wrapping: the model of what a new key is wrapped by: the members of `Reference` that a person chooses. None if
            this source wraps no keys.
        ObjectWrapping: the model of what wraps the keys of objects that each have their own, such as those of the
            Amazon S3 Encryption Client. None if this source does not do that.

    >>> from connectors.secrets import SecretKey
    >>> class Reference(KeyReference):
    ...     source: str = "constant"  # better a Literal["constant"]
    >>> class Constant(KeySource):
    ...     name = "constant"
    ...     summary = "an example"
    ...     Reference = Reference
    ...     def unwrap(self, reference, root):
    ...         return SecretKey("00" * 32)
    >>> Constant().unwrap(Reference(), None)
    SecretKey(**********)
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    Reference: ClassVar[type[KeyReference]]
    Wrapping: ClassVar[type[KeyReference] | None] = None
    ObjectWrapping: ClassVar[type[KeyReference] | None] = None

    @abstractmethod
    def unwrap(self, reference: Any, root: str | None) -> SecretKey:
        """Return the key that a reference leads to.

        Args:
            reference: a `Reference` of this source.
            root: the folder that files in the reference are below: the app config's root; None outside an app config.

        Raises:
            KeyRefused: the service, or whoever holds the wrapping key, does not give the key: wrong credentials, a
                missing permission, another context, a wrong passphrase. The message names the service, its key and
                what to do, and holds no secret.
            KeyUnavailable: it cannot be reached, is overloaded, or gave an invalid response.
            InvalidKey: what came is not a key.
        """

    def wrap(self, key: SecretKey, wrapping: Any, root: str | None) -> KeyReference:
        """Return a reference to a key, wrapped by what `wrapping` names.

        Args:
            key: the key.
            wrapping: a `Wrapping` of this source.
            root: as for `unwrap`.

        Raises:
            NotSupported: this source wraps no keys.
            KeyRefused, KeyUnavailable: as for `unwrap`.
        """
        del key, wrapping, root
        message = f"{self.name} wraps no keys: it gives keys that its owner has put there"
        raise NotSupported(message)

    def object_keys(self, wrapping: Any, root: str | None) -> ObjectKeyService:
        """Return what wraps the keys of a dataset's objects; makes no request.

        Args:
            wrapping: an `ObjectWrapping` of this source.
            root: as for `unwrap`.

        Raises:
            NotSupported: this source does not do that.
        """
        del wrapping, root
        message = f"{self.name} wraps no keys of single objects"
        raise NotSupported(message)

    def holder(self, reference: Any) -> str:
        """Return what holds or wraps the key, for people: ``AWS KMS key arn:aws:kms:…``. It holds no secret."""
        return f"{self.summary} ({reference.source})"
