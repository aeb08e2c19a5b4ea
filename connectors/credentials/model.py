"""Credentials documents: access to a dataset, and how its bytes are encrypted.

A document is a JSON object. `encryption` says how the dataset is encrypted. The other members belong to the backend,
which is given by `type` or, without it, by the location's scheme::

    {"query_string": "<base64>", "encryption": {"key": "<64 hex digits>"}}
    {"type": "s3", "access_key_id": "…", "secret_access_key": "…", "region": "eu-west-1", "encryption": {…}}

The source of the document does not matter here.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field, ValidationError, field_validator, model_validator

from connectors.credentials.parsing import parse_document
from connectors.errors import ConfigError, ConnectorError, InvalidCredentials
from connectors.formats import (
    DEFAULT_SEGMENT_SIZE,
    DatasetFormat,
    Format,
    FormerKeys,
    Plain,
    S3EncryptionClient,
    check_pin,
    select,
)
from connectors.formats.tink import MAX_SEGMENT_SIZE, MIN_SEGMENT_SIZE
from connectors.keys import DatasetKey, KeyMember, ObjectKeys, forget, resolve
from connectors.models import SecretModel, printable_name
from connectors.secrets import Hidden, SecretKey
from connectors.wording import Wording, problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from typing import Self

    from connectors.keys import KeyReference

__all__ = ["Credentials", "Encryption", "SecretModel", "parse_document", "printable_name", "validate"]

C = TypeVar("C", bound="Credentials")

MOST_COLUMN_KEYS = 64
_COLUMN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,29}")
MOST_FORMER_KEYS = 16
"""Former keys of one document: each costs a derivation for every object that is under none of those before it."""


class Encryption(SecretModel):
    """How a dataset is encrypted."""

    format: DatasetFormat = Field(
        default="auto",
        description=(
            "The wire format. auto reads cobblestone-256 and gcm, detected with the key, and writes cobblestone-256; "
            "tink-gcm-hkdf must be named, and so must s3-encryption-client, for objects of the Amazon S3 Encryption "
            "Client."
        ),
    )
    key: DatasetKey = Field(
        description=(
            "The AES-256 key: 64 hexadecimal digits, in either case, or an object that names the key's source. With "
            "the format s3-encryption-client, an object that names what wraps the objects' keys."
        ),
    )
    former_keys: tuple[KeyMember, ...] = Field(
        default=(),
        max_length=MOST_FORMER_KEYS,
        description=(
            "Keys that objects are only read with, such as those of before a rotation; cobblestone-256 only, whose "
            "headers tell which key fits."
        ),
    )
    columns: dict[str, KeyMember] = Field(
        default={},
        max_length=MOST_COLUMN_KEYS,
        description=(
            "Keys of columns of Parquet files, by names that the owner chooses, as in pii: each is a key as `key` is. "
            "They are for `Dataset.parquet_decryption` and `parquet_encryption`."
        ),
    )
    context: str | None = Field(
        default=None,
        description="Text that binds objects to a place or purpose, as UTF-8; Tink calls it associated data.",
    )
    segment_size: int = Field(
        default=DEFAULT_SEGMENT_SIZE,
        ge=MIN_SEGMENT_SIZE,
        le=MAX_SEGMENT_SIZE,
        strict=True,
        description="Bytes in a sealed segment, tag included; tink-gcm-hkdf only. A Tink keyset says it itself.",
    )
    bind: Literal["path", "none"] = Field(
        default="path",
        description=(
            "In a folder, what is bound into each object's context: its relative path, so that the storage cannot "
            "return one object for another; or nothing, so that the storage can copy and move sealed objects."
        ),
    )
    allow_uncommitted: bool = Field(
        default=False,
        strict=True,
        description=(
            "Whether to read also objects that do not commit to their key (AES/GCM/NoPadding), as older clients wrote "
            "them; s3-encryption-client only."
        ),
    )
    pin: str | None = Field(
        default=None,
        description=(
            "The only version to accept, as `connectors fingerprint` prints it: an object that was rolled back, "
            "replaced or rewritten is refused. For a folder, the pin of its manifest. null accepts any version."
        ),
    )

    manifest: bool = Field(
        default=False,
        strict=True,
        description=(
            "Whether the folder has a sealed manifest of its objects, which reads are checked against: an object that "
            "was removed, added, replaced or rolled back is an error. Every change updates the manifest."
        ),
    )

    @field_validator("context")
    @classmethod
    def _check_context(cls, value: str | None) -> str | None:
        # Half of a surrogate pair has no UTF-8 form.
        if value is not None and any("\ud800" <= character <= "\udfff" for character in value):
            message = "it contains half of a surrogate pair"
            raise ValueError(message)
        if value is not None and "\0" in value:  # in folders, a zero byte ends the context: an object's name follows
            message = "it contains a zero character, which no context may contain"
            raise ValueError(message)
        return value

    @field_validator("pin")
    @classmethod
    def _check_pin(cls, value: str | None) -> str | None:
        return None if value is None else check_pin(value)

    @field_validator("columns", mode="before")
    @classmethod
    def _check_columns(cls, value: object) -> object:
        hidden = Hidden(value)
        del value
        if isinstance(hidden.reveal(), dict) and not all(map(_COLUMN_KEY.fullmatch, map(str, hidden.reveal()))):
            message = "the name of a column key has letters, digits and underscores, at most 30, as in pii"
            raise ValueError(message)
        return hidden.reveal()

    @model_validator(mode="after")
    def _check_former(self) -> Self:
        if self.former_keys and self.format in ("gcm", "tink-gcm-hkdf"):
            message = (
                "former_keys needs the format cobblestone-256: nothing in an object of another format tells which key "
                "it is under"
            )
            raise ValueError(message)
        if any(getattr(key, "source", None) == "tink" for key in self.former_keys):
            message = "former_keys: a Tink keyset is for tink-gcm-hkdf, and former keys read cobblestone-256 only"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _check_objects(self) -> Self:
        problem = None
        if self.format != "s3-encryption-client":
            problem = "allow_uncommitted is for the format s3-encryption-client" if self.allow_uncommitted else None
        elif self.former_keys:
            problem = "former_keys: with the format s3-encryption-client, each object has its own key; leave them out"
        elif self.context is not None:
            problem = "context: the format s3-encryption-client binds the context of the key; give it there"
        if problem is not None:
            raise ValueError(problem)
        return self

    def codec(self, root: str | None = None) -> Format:
        """Return the format, with its key, that reads and writes the dataset. References to keys are resolved.

        Former keys are resolved when an object needs one, and so are keys of objects that have their own.

        Args:
            root: the folder that key files are below: the app config's root; None outside an app config.

        Raises:
            KeyRefused, KeyUnavailable, InvalidKey, ConfigError: the key's source does not give it.
        """
        if self.format == "s3-encryption-client":
            return self._codec_of_objects(root)
        former = partial(_former_keys, self.former_keys, root) if self.former_keys else None
        return self.codec_under(_resolved("encryption.key", self.key, root), former)

    def codec_under(self, key: SecretKey, former: FormerKeys | None = None) -> Format:
        """Return the format under another key than the document's; no reference is resolved.

        The format s3-encryption-client has no key, and is returned as it is.

        Raises:
            ConfigError: the format does not have one of the options.
        """
        if self.format == "s3-encryption-client":
            return self._codec_of_objects(None)
        context = (self.context or "").encode()
        return select(self.format, key, context=context, segment_size=self.segment_size, pin=self.pin, former=former)

    def _codec_of_objects(self, root: str | None) -> Format:
        if isinstance(self.key, SecretKey):  # only to tell the type checker: the member is validated
            raise TypeError
        keys = ObjectKeys(self.key, root, "encryption.key")
        codec = S3EncryptionClient(keys, allow_uncommitted=self.allow_uncommitted)
        codec.pin = self.pin
        return codec

    def column_key(self, name: str, root: str | None = None) -> SecretKey:
        """Return a column key by its name in `columns`; a reference to it is resolved.

        Raises:
            KeyError: there is none of that name.
            KeyRefused, KeyUnavailable, InvalidKey, ConfigError: the key's source does not give it.
        """
        return _resolved(f"encryption.columns.{name}", self.columns[name], root)

    def forget_keys(self, root: str | None = None) -> None:
        """Forget what references to keys led to: the next `codec` asks their sources again."""
        forget([self.key, *self.former_keys, *self.columns.values()], root)


def _resolved(member: str, key: SecretKey | KeyReference, root: str | None) -> SecretKey:
    """Return a key; an error of its source is of the same type, and names the member."""
    try:
        return resolve(key, root)
    except ConnectorError as error:
        named = type(error)(f"{member}: {error}")
    raise named


def _former_keys(keys: Iterable[SecretKey | KeyReference], root: str | None) -> Iterator[SecretKey]:
    """Yield former keys. If a source does not give one, the others come first, and then its error."""
    failure: ConnectorError | None = None
    for key in keys:
        try:
            yield _resolved("encryption.former_keys", key, root)
        except ConnectorError as error:
            failure = failure or error
    if failure is not None:
        raise failure


class Credentials(SecretModel):
    """The base of every backend's credentials: subclass it with fields of your own.

    A subclass declares `type` as a `Literal` of its backend's name, with that name as the default. Use `SecretText` for
    secrets.

    Attributes:
        member_prefixes: prefixes that other tools give to the names of members, such as ``aws`` in
            ``AWS_ACCESS_KEY_ID``; they are ignored when a suggestion for an unknown member is made. Optional.
    """

    member_prefixes: ClassVar[tuple[str, ...]] = ()

    encryption: Encryption | None = Field(description="How the dataset is encrypted; null if it is plain. Required.")

    layout: Literal["object", "folder"] | None = Field(
        default=None,
        description="Whether the location is one object or a folder of them; null: a folder if it ends in a slash.",
    )

    @property
    def expires_at(self) -> datetime | None:
        """When the credentials expire, in UTC; None if they do not expire or the document does not say.

        It is read from the document without a request; the storage may revoke them earlier. A subclass overrides it if
        its documents have an expiry time.
        """
        return None

    def problems(self, location: str | None = None) -> tuple[str, ...]:  # noqa: ARG002 - for subclasses
        """Return why the storage will refuse these credentials, as far as the document shows it; empty if it does not.

        `connectors dataset check` reports each of them; a dataset opens nevertheless. Nothing is sent. A subclass
        overrides this if its documents can show it. The sentences must not hold any part of a secret.

        Args:
            location: the URL that they are for, if known.
        """
        return ()

    def is_folder(self, location: str) -> bool:
        """Return whether a dataset with these credentials is a folder of objects."""
        return location.endswith("/") if self.layout is None else self.layout == "folder"

    def binds_names(self, location: str) -> bool:
        """Return whether each object's relative path is bound into its context."""
        return self.is_folder(location) and self.encryption is not None and self.encryption.bind == "path"

    def has_manifest(self, location: str) -> bool:
        """Return whether the dataset is a folder with a manifest.

        Raises:
            InvalidCredentials: `manifest` or `pin` does not fit the dataset.
        """
        encryption = self.encryption
        if encryption is None:
            return False
        problem = None
        if not self.is_folder(location):
            problem = (
                "manifest: only a folder has one; this dataset is a single object" if encryption.manifest else None
            )
        elif encryption.manifest and encryption.bind != "path":
            problem = 'manifest: it needs the objects\' names bound; leave out "bind": "none"'
        elif encryption.pin and not encryption.manifest:
            problem = 'pin: it identifies one object; set "manifest": true to pin a folder'
        if problem is not None:
            message = f"credentials.encryption.{problem}"
            raise InvalidCredentials(message)
        return encryption.manifest

    def codec(self, root: str | None = None) -> Format:
        """Return the format, with its key, that reads and writes the dataset; see `Encryption.codec`."""
        return self.encryption.codec(root) if self.encryption else Plain()

    def document(self) -> dict[str, Any]:
        """Return the document, including its secrets; write it only to private files."""
        return self.model_dump(mode="json", exclude_defaults=True, context={"reveal": True})


def validate(model: type[C], document: Mapping[str, Any] | Hidden) -> C:
    """Validate a document with a backend's model.

    Raises:
        InvalidCredentials: it is invalid; the message names each member and rule, never a member's value.

    >>> class Mine(Credentials):
    ...     type: str = "mine"
    >>> validate(Mine, {"encryption": {"key": "secret"}, "tpye": "mine"})
    Traceback (most recent call last):
    connectors.errors.InvalidCredentials: credentials.encryption.key: a key is 64 hexadecimal digits; this one has \
6 characters; credentials.tpye: unknown member; did you mean type?
    """
    document = Hidden(document)
    found: list[str] = []
    try:
        return model.model_validate(dict(document.reveal()))
    except ValidationError as error:
        found.extend(problems(error, model, root="credentials", wording=_wording(model)))
    except ConfigError as error:
        found.append(str(error))
    # Raised outside the handler: pydantic's error holds the document and must not become its context.
    raise InvalidCredentials("; ".join(found))


def _wording(model: type[Credentials]) -> Wording:
    return Wording(
        missing={"encryption": 'required; if the dataset really is not encrypted, set "encryption": null'},
        objects={
            "encryption": 'an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted',
        },
        elsewhere=lambda name: "it belongs in encryption" if name in Encryption.model_fields else None,
        prefixes=model.member_prefixes,
    )
