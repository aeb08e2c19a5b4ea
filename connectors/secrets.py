"""Wrappers that keep secrets out of reprs, logs, pickles and JSON; and URLs without their query.

Only `reveal` returns a secret's value, so one search finds every use of one.
"""

from __future__ import annotations

import hmac
import os
import re
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self, TypeVar

from connectors.errors import InvalidKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema
    from pydantic_core.core_schema import SerializationInfo

__all__ = ["KEY_SIZE", "Hidden", "SecretKey", "SecretText", "TinkKey", "redact_url"]

KEY_SIZE = 32
"""Bytes in a key: AES-256."""

_MASK = "**********"
_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_QUOTES = "\"'`“”„‘’«»"  # noqa: RUF001 - typographic quotation marks
_BASE64_KEY = re.compile(r"[A-Za-z0-9+/_-]{43}=?")
_FILE_NAME = re.compile(r"(?:[~.]?/|[A-Za-z]:\\).+|.+\.(?:hex|key|txt|bin|pem)")
_HOST = re.compile(r"([^:]*|\[[0-9A-Fa-f:.]*\])(:[0-9]{0,5})?")

T = TypeVar("T")


class _Secret(Generic[T]):
    """A value that prints as a mask, cannot be pickled, and is compared in constant time."""

    # The value is in a closure and not in an attribute, so that debuggers, crash reporters and tracebacks that print
    # locals with their attributes show a function's name instead.
    __slots__ = ("_reveal",)

    def __init__(self, value: T) -> None:
        self._reveal: Callable[[], T] = lambda: value

    def reveal(self) -> T:
        """Return the secret itself."""
        return self._reveal()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_MASK})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return hmac.compare_digest(_as_bytes(self.reveal()), _as_bytes(other.reveal()))

    # A hash would be a fingerprint of the secret, and an invitation to use it as a cache key.
    __hash__ = None  # type: ignore[assignment]

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> NoReturn:
        message = (
            f"a {type(self).__name__} does not pickle, so that no secret is sent by accident; "
            "send the app config's location instead and load it in the other process"
        )
        raise TypeError(message)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "password", "writeOnly": True}


def _as_bytes(value: object) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)  # type: ignore[call-overload]


class Hidden(_Secret[Any]):
    """Any unchecked input that may be or contain a secret, such as a document or a key.

    Functions wrap such an argument first, under the same name, so that a traceback that prints locals shows a mask.
    """

    __slots__ = ()

    def __init__(self, value: object) -> None:
        super().__init__(value.reveal() if isinstance(value, Hidden) else value)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None


def _serialize(secret: _Secret[Any], info: SerializationInfo) -> str:
    """Mask a secret in a dump, unless the dump's context is ``{"reveal": True}``."""
    if not (info.context or {}).get("reveal"):
        return _MASK
    value = secret.reveal()
    return value.hex() if isinstance(value, bytes) else str(value)


class SecretKey(_Secret[bytes]):
    """A raw 256-bit key.

    Args:
        value: another `SecretKey`, 32 bytes, or 64 hexadecimal digits (either case, surrounding
            white space allowed).

    Raises:
        InvalidKey: it is none of these.

    >>> SecretKey("00" * 32)
    SecretKey(**********)
    >>> SecretKey("00" * 31)
    Traceback (most recent call last):
    connectors.errors.InvalidKey: a key is 64 hexadecimal digits; this one has 62 characters
    """

    __slots__ = ()

    def __init__(self, value: SecretKey | bytes | bytearray | memoryview | str | Hidden) -> None:
        key, problem = _key_bytes(value.reveal() if isinstance(value, Hidden) else value)
        if problem:
            del value  # a traceback that prints locals would print it
            raise InvalidKey(problem)
        super().__init__(key)

    def __eq__(self, other: object) -> bool:
        return hmac.compare_digest(self.reveal(), other.reveal()) if isinstance(other, SecretKey) else NotImplemented

    __hash__ = None

    @classmethod
    def generate(cls) -> SecretKey:
        """Return a new random key from the operating system."""
        return SecretKey(os.urandom(KEY_SIZE))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415 - only credentials need it

        return core_schema.no_info_plain_validator_function(
            cls.of_member,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, return_schema=core_schema.str_schema()
            ),
        )

    @classmethod
    def of_member(cls, value: object) -> SecretKey:
        """Return the key in a document's member, which may be any JSON value.

        Raises:
            InvalidKey: it is no key.
        """
        value = Hidden(value)
        if isinstance(value.reveal(), TinkKey):
            message = (
                "a document names a Tink key by its keyset, which says how it is used: a reference of the source tink"
            )
            raise InvalidKey(message)
        if isinstance(value.reveal(), (SecretKey, str, bytes)):
            return SecretKey(value)
        message = "a key is 64 hexadecimal digits, in quotation marks"
        raise InvalidKey(message)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            **super().__get_pydantic_json_schema__(schema, handler),
            "pattern": r"^\s*[0-9A-Fa-f]{64}\s*$",
        }


def _key_bytes(value: object) -> tuple[bytes, str]:
    """Return the key, and the problem with it or an empty string."""
    if isinstance(value, SecretKey):
        return value.reveal(), ""
    if isinstance(value, str):
        digits = value.strip()
        if _HEX_KEY.fullmatch(digits):
            return bytes.fromhex(digits), ""
        return b"", f"a key is 64 hexadecimal digits; {_unlike_a_key(digits)}"
    if isinstance(value, (bytes, bytearray, memoryview)):
        size = memoryview(value).nbytes
        return (bytes(value), "") if size == KEY_SIZE else (b"", f"a key is {KEY_SIZE} bytes; this one has {size}")
    return b"", f"a key is a SecretKey, 32 bytes or 64 hexadecimal digits, not {type(value).__name__}"


def _unlike_a_key(text: str) -> str:
    """Return why a text is not a key, and what to do about it."""
    bare = re.sub(r"[\s:_-]+", "", text)
    if not text:
        problem = "this one is empty"
    elif _HEX_KEY.fullmatch(text.strip(_QUOTES)):
        problem = "leave out the quotation marks around them"
    elif _HEX_KEY.fullmatch(text[2:]) and text[:2].lower() in ("0x", "\\x"):
        problem = f"leave out the {text[:2]} in front of them"
    elif _HEX_KEY.fullmatch(bare):
        problem = "leave out the characters between them"
    elif _BASE64_KEY.fullmatch(text):
        problem = "this looks like base64; convert it with `base64 -d | xxd -p -c 64`"
    elif "-----BEGIN" in text:
        problem = "this looks like a private key of another kind"
    elif _FILE_NAME.fullmatch(text):
        problem = "this looks like a file name; give the contents of the file"
    elif len(text) != 2 * KEY_SIZE:
        problem = f"this one has {len(text)} characters"
    else:
        problem = "this one has characters other than 0 to 9 and A to F"
    return problem


class TinkKey(SecretKey):
    """The key of a Tink keyset, which says what it is for.

    Args:
        value: as for `SecretKey`.
        segment_size: bytes in a sealed segment, if it is a key of the format tink-gcm-hkdf.
        prefix: otherwise it is an AES-GCM key, which encrypts keysets: what Tink writes in front of the nonce.
    """

    __slots__ = ("prefix", "segment_size")

    def __init__(self, value: bytes | Hidden, *, segment_size: int | None = None, prefix: bytes = b"") -> None:
        super().__init__(value)
        self.segment_size = segment_size
        self.prefix = prefix


class SecretText(_Secret[str]):
    """A password, token or signed query.

    >>> SecretText("hunter2")
    SecretText(**********)
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415 - only credentials need it

        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(cls, core_schema.str_schema(strict=True)),
            ],
            mode="left_to_right",
            custom_error_type="string_type",
            serialization=core_schema.plain_serializer_function_ser_schema(
                _serialize, info_arg=True, return_schema=core_schema.str_schema()
            ),
        )


def redact_url(url: str) -> str:
    """Return `url` without user information, query and fragment, for messages and logs.

    >>> redact_url("https://user:pw@host:8443/bucket/key?X-Amz-Signature=abc#x")
    'https://host:8443/bucket/key?…'
    >>> redact_url("not a url?token")
    'not a url?…'
    """
    shown, mark, _ = url.partition("?")
    shown = shown.partition("#")[0]
    scheme, separator, rest = shown.partition("://")
    if not separator:
        shown = shown.rpartition("@")[2]
        return f"{shown}?…" if mark else shown
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2]
    shown = f"{scheme}://{host}{slash}{path}"
    if not _HOST.fullmatch(host):
        # An invalid port may be the start of a password that contains a reserved character.
        shown = f"{scheme}://…"
    return f"{shown}?…" if mark else shown
