"""The models of references: which key of which token wraps, by which mechanism, and the PIN."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from connectors.keys import KeyReference, Wrapped
from connectors.secrets import SecretText
from connectors.storage import Way, checked, exactly_one_way, matching

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Pkcs11Reference", "Pkcs11Wrapping"]

_LABEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,128}")
_TOKEN_LABEL = re.compile(r"(?! )[\x20-\x7e]{1,32}(?<! )", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ID = re.compile(r"([0-9A-Fa-f]{2}){1,128}", re.ASCII)


def _module_problem(path: str) -> str | None:
    if not os.path.isabs(path) or os.path.normpath(path) != path or not path.isprintable():
        return "not the absolute path of a PKCS#11 module, such as /usr/lib/softhsm/libsofthsm2.so"
    return None


def _text_problem(text: str | SecretText) -> str | None:
    shown = text.reveal() if isinstance(text, SecretText) else text
    return "it contains half of a surrogate pair" if _SURROGATE.search(shown) else None


class Pkcs11Wrapping(KeyReference):
    """A key in a token."""

    ways: ClassVar[tuple[Way, ...]] = (Way(("pin",)), Way(("pin_file",)))

    source: Literal["pkcs11"] = "pkcs11"
    module: Annotated[str, checked(_module_problem)] = Field(
        description="The absolute path of the PKCS#11 module, one of those in CONNECTORS_PKCS11_MODULES."
    )
    token: Annotated[str, matching(_TOKEN_LABEL, "not the label of a token: at most 32 ASCII characters")] = Field(
        description="The token's label."
    )
    key: Annotated[str, matching(_LABEL, "not the label of a key")] | None = Field(
        default=None, description="The label of the key that wraps (CKA_LABEL)."
    )
    id: Annotated[str, matching(_ID, "not the ID of a key, which is hexadecimal digits in pairs")] | None = Field(
        default=None, description="The ID of the key that wraps (CKA_ID), in hexadecimal."
    )
    pin: Annotated[SecretText, checked(_text_problem)] | None = Field(
        default=None, description="The PIN of the token's user."
    )
    pin_file: str | None = Field(default=None, min_length=1, description="A file with the PIN.")
    mechanism: Literal["AES_KEY_WRAP", "AES_GCM", "RSA_PKCS_OAEP"] = Field(
        default="AES_KEY_WRAP", description="How the key wraps: an AES key by the first two, an RSA key by the third."
    )
    hash: Literal["SHA256", "SHA1"] | None = Field(
        default=None, description="The hash of RSA_PKCS_OAEP, and of its MGF1: SHA256 unless given."
    )

    context: Annotated[str, checked(_text_problem)] | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description=(
            "Text that the wrapped key is bound to, such as the dataset's name, with the mechanism AES_GCM: only with "
            "the same text is it unwrapped. PKCS#11 calls it additional authentication data; it is not secret."
        ),
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problem = exactly_one_way(self, self.ways)
        if problem is None and self.key is None and self.id is None:
            problem = "give the key's label as key, or its id, or both"
        if problem is None and self.hash is not None and self.mechanism != "RSA_PKCS_OAEP":
            problem = "hash needs the mechanism RSA_PKCS_OAEP"
        if problem is None and self.context is not None and self.mechanism != "AES_GCM":
            problem = "context needs the mechanism AES_GCM; the other ones bind nothing to a key"
        if problem is not None:
            raise ValueError(problem)
        return self

    @property
    def shown(self) -> str:
        """The key and its token, for messages."""
        name = " ".join([*([self.key] if self.key else []), *([f"(id {self.id})"] if self.id else [])])
        return f"the key {name} in the PKCS#11 token {self.token}"


class Pkcs11Reference(Pkcs11Wrapping):
    """A key wrapped by a key in a token."""

    wrapped: Wrapped = Field(description="The wrapped key, in base64; with AES_GCM after its 12-byte nonce.")
