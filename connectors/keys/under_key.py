"""The key source ``wrapped``: a key that is wrapped under another key, which has a source of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from connectors.errors import ConfigError, KeyRefused
from connectors.keys.aes_wrap import unwrap_under, wrap_under
from connectors.keys.contract import KeyReference, KeySource, Wrapped
from connectors.keys.member import ReferenceMember  # noqa: TC001 - pydantic reads it
from connectors.keys.registry import source_of
from connectors.keys.resolving import resolve
from connectors.secrets import Hidden, TinkKey

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["UnderKey"]


class UnderKeyWrapping(KeyReference):
    """The key that others are wrapped under."""

    source: Literal["wrapped"] = "wrapped"
    by: ReferenceMember = Field(description='The wrapping key\'s own reference, as in {"source": "file", …}.')

    @field_validator("by", mode="before")
    @classmethod
    def _check_depth(cls, value: object) -> object:
        # Before the reference itself is validated: a document could nest them without end.
        hidden = Hidden(value)
        del value
        nested = hidden.reveal()
        source = nested.get("source") if isinstance(nested, dict) else getattr(nested, "source", None)
        del nested
        if source == "wrapped":
            message = "a wrapping key is not wrapped itself; name its own source"
            raise ValueError(message)
        return hidden.reveal()


class UnderKeyReference(UnderKeyWrapping):
    """A key wrapped under another key."""

    wrapped: Wrapped = Field(description="The key, wrapped by AES key wrap (RFC 3394), in base64.")


class UnderKey(KeySource):
    """A key wrapped under another: ``{"source": "wrapped", "by": {"source": "file", …}, "wrapped": "…"}``."""

    name = "wrapped"
    summary = "another key"
    Reference = UnderKeyReference
    Wrapping = UnderKeyWrapping

    def unwrap(self, reference: UnderKeyReference, root: str | None) -> SecretKey:
        """Return the key; raises as the contract and the wrapping key's source say."""
        key = unwrap_under(_wrapping_key(reference, root), reference.wrapped)
        if key is None:
            message = (
                f"the key is not wrapped under {self._by(reference)}: name the key that wraps it, or the document "
                "was changed"
            )
            raise KeyRefused(message)
        return key

    def wrap(self, key: SecretKey, wrapping: UnderKeyWrapping, root: str | None) -> UnderKeyReference:
        """Return a reference to a key, wrapped under the wrapping key."""
        return UnderKeyReference(by=wrapping.by, wrapped=wrap_under(_wrapping_key(wrapping, root), key))

    def holder(self, reference: UnderKeyWrapping) -> str:
        """Return what holds the wrapping key."""
        return f"a key wrapped under {self._by(reference)}"

    @staticmethod
    def _by(reference: UnderKeyWrapping) -> str:
        return source_of(reference.by.source).holder(reference.by)


def _wrapping_key(reference: UnderKeyWrapping, root: str | None) -> SecretKey:
    key = resolve(reference.by, root)
    if isinstance(key, TinkKey):
        message = "by: a Tink keyset encrypts keysets, and wraps no other keys; use the source tink, or another key"
        raise ConfigError(message)
    return key
