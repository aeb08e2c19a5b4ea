"""Credentials documents: access to a dataset, and how its bytes are encrypted.

A document is a JSON object. `encryption` says how the dataset is encrypted. The other members belong to the backend,
which is given by `type` or, without it, by the location's scheme::

    {"query_string": "<base64>", "encryption": {"key": "<64 hex digits>"}}
    {"type": "s3", "access_key_id": "…", "secret_access_key": "…", "region": "eu-west-1", "encryption": {…}}

The source of the document does not matter here.
"""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from connectors.credentials.parsing import parse_document, printable_name
from connectors.errors import ConfigError, InvalidCredentials
from connectors.formats import DEFAULT_SEGMENT_SIZE, Format, FormatName, Plain, check_pin, select
from connectors.formats.tink import MAX_SEGMENT_SIZE, MIN_SEGMENT_SIZE
from connectors.models import Model, without_values
from connectors.secrets import Hidden, SecretKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime

    from pydantic import ModelWrapValidatorHandler

__all__ = ["Credentials", "Encryption", "SecretModel", "parse_document", "printable_name", "validate"]

C = TypeVar("C", bound="Credentials")

_MODEL = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, ser_json_inf_nan="strings")


class SecretModel(Model):
    """A document that holds secrets, or a part of one: it does not pickle, and its errors hold no value.

    That is also true where it is a member of another model.
    """

    model_config = _MODEL

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


class Encryption(SecretModel):
    """How a dataset is encrypted."""

    key: SecretKey = Field(description="The AES-256 key: 64 hexadecimal digits, in either case.")
    format: FormatName = Field(
        default="auto",
        description=(
            "The wire format. auto reads cobblestone-256 and gcm, detected with the key, and writes cobblestone-256; "
            "tink-gcm-hkdf must be named."
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
        description="Bytes in a sealed segment, tag included; tink-gcm-hkdf only.",
    )
    bind: Literal["path", "none"] = Field(
        default="path",
        description=(
            "In a folder, what is bound into each object's context: its relative path, so that the storage cannot "
            "return one object for another; or nothing, so that the storage can copy and move sealed objects."
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

    def codec(self) -> Format:
        """Return the format, with its key, that reads and writes the dataset."""
        context = (self.context or "").encode()
        return select(self.format, self.key, context=context, segment_size=self.segment_size, pin=self.pin)


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

    def codec(self) -> Format:
        """Return the format, with its key, that reads and writes the dataset."""
        return self.encryption.codec() if self.encryption else Plain()

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
    problems: list[str] = []
    try:
        return model.model_validate(dict(document.reveal()))
    except ValidationError as error:
        problems.extend(_problems(error, model))
    except ConfigError as error:
        problems.append(str(error))
    # Raised outside the handler: pydantic's error holds the document and must not become its context.
    raise InvalidCredentials("; ".join(problems))


def _problems(error: ValidationError, model: type[Credentials]) -> Iterator[str]:
    details = error.errors(include_url=False, include_context=False, include_input=False)
    missing = [detail["loc"] for detail in details if detail["type"] == "missing"]
    strange = [detail["loc"] for detail in details if detail["type"] == "extra_forbidden"]
    meant = {place: _meant(place, model, missing) for place in strange}
    misspelt = {(*place[:-1], name) for place, name in meant.items()}
    for detail in details:
        if detail["type"] == "missing" and detail["loc"] in misspelt:
            continue  # present under a misspelt name, which is reported
        # A rule about several members has no location.
        *parents, name = ["credentials", *(str(part) for part in detail["loc"])]
        member = ".".join([*parents, printable_name(name)])
        match detail["type"]:
            case "missing" if name == "encryption":
                rule = 'required; if the dataset really is not encrypted, set "encryption": null'
            case "missing":
                rule = "required"
            case "extra_forbidden":
                rule = f"unknown member; {_advice(name, meant[detail['loc']], _owner(model, parents[1:]), model)}"
            case "model_type" if name == "encryption":
                rule = 'an object, as in {"key": "…"}, is expected, or null if the dataset is not encrypted'
            case "model_type":
                rule = "an object, in braces and without quotation marks around it, is expected"
            case _:
                rule = _reworded(detail["msg"].removeprefix("Value error, "))
        yield f"{member}: {rule}"


def _meant(
    place: tuple[int | str, ...], model: type[Credentials], missing: Iterable[tuple[int | str, ...]]
) -> str | None:
    """Return the known member that an unknown one most likely means."""
    *parents, name = map(str, place)
    prefixes = model.member_prefixes
    sound = _plain(name, prefixes)
    known = {_plain(one, prefixes): one for one in _owner(model, parents).model_fields}
    sure = [one for one in known if sorted(one) == sorted(sound)]
    beside = [_plain(str(one[-1]), prefixes) for one in missing if one[:-1] == place[:-1]]
    sure += [one for one in beside if sound and one.startswith(sound)]
    close = [one for one in sure if one in known] or difflib.get_close_matches(sound, known, n=1, cutoff=0.75)
    return known[close[0]] if close else None


def _plain(name: str, prefixes: Iterable[str]) -> str:
    """Return a member's normalized name: the same for accessKeyId, AWS_ACCESS_KEY_ID and access_key_id."""
    return functools.reduce(str.removeprefix, prefixes, re.sub(r"[^a-z0-9]", "", name.lower()))


def _advice(name: str, meant: str | None, owner: type[BaseModel], model: type[BaseModel]) -> str:
    if meant is not None:
        return f"did you mean {meant}?"
    if owner is model and name in Encryption.model_fields:
        return "it belongs in encryption"
    if owner is not model and name in model.model_fields:
        return "it belongs one level up"
    return f"known members: {', '.join(sorted(owner.model_fields))}"


_WORDINGS = (
    (r"^Input should be a valid string$", "text in quotation marks is expected"),
    (r"^Input should be a valid integer.*", "a whole number, without quotation marks, is expected"),
    (r"^Input should be a valid boolean$", "true or false, without quotation marks, is expected"),
    (r"^Input should be greater than or equal to ([0-9]+)$", r"the minimum is \1"),
    (r"^Input should be less than or equal to ([0-9]+)$", r"the maximum is \1"),
    (r"^String should have at least 1 character$", "it is empty"),
    (r"^Input should be ('.*)$", r"\1 is expected"),
)


def _reworded(message: str) -> str:
    """Return pydantic's message in terms of the document instead of the model."""
    for pattern, words in _WORDINGS:
        message = re.sub(pattern, words, message)
    return message


def _owner(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    """Return the model of the object at a path of members, or the last known model on the way."""
    for name in path:
        annotation = model.model_fields[name].annotation if name in model.model_fields else None
        kinds = [annotation, *get_args(annotation)]
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), model)
    return model
