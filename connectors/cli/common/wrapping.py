"""The options that say what a new key is wrapped by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from pydantic import BaseModel

from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.private_files import read_private
from connectors.credentials.parsing import parse_document
from connectors.errors import InvalidCredentials
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.secrets import Hidden, SecretKey, SecretText, TinkKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from connectors.keys import KeyReference

__all__ = ["PassphraseFile", "UsePassphrase", "Wrap", "wrap_key", "wrapping_of"]

Wrap = Annotated[
    str | None,
    typer.Option(
        "--wrap",
        metavar="SOURCE",
        help="What wraps the key: a key source, with its members as MEMBER=VALUE, or a FILE.json that holds them.",
    ),
]
UsePassphrase = Annotated[bool, typer.Option("--passphrase", help="Wrap the key under a passphrase.")]
PassphraseFile = Annotated[
    str | None, typer.Option("--passphrase-file", metavar="FILE", help="A file with the passphrase; - for stdin.")
]


def wrapping_of(wrap: str | None, members: Sequence[str], *, passphrase: bool) -> KeyReference | None:
    """Return what a key is to be wrapped by, as the command line says it; None if it says nothing.

    Args:
        wrap: the key source, or a file with a document of one.
        members: its members: ``key_id=…``, ``context.dataset=conditions``.
        passphrase: `--passphrase` was given.

    Raises:
        UsageMistake: the words do not go together, or one of them would be a secret.
        InvalidCredentials, BackendNotFound, NotSupported: as `connectors.keys.wrapping`.
    """
    if passphrase and wrap not in (None, "passphrase"):
        message = "--passphrase and --wrap exclude each other"
        raise UsageMistake(message)
    source = "passphrase" if passphrase else wrap
    if source is None:
        if members:
            name, equals, _ = members[0].partition("=")
            message = (
                f"{name}=… belongs to a key source: --wrap SOURCE" if equals else f"there is one FILE; what is {name}?"
            )
            raise UsageMistake(message)
        return None
    if source.endswith(".json"):
        document = Hidden(parse_document(read_private(source, "key source's document")))
        if members:
            message = "give the members in the file, or as MEMBER=VALUE, not both"
            raise UsageMistake(message)
        return wrapping(document)
    given = _members(members)
    _refuse_secrets(source_of(source).Wrapping, given)
    texts: InvalidCredentials | None = None
    try:
        return wrapping({"source": source, **given})
    except InvalidCredentials as error:
        texts = error
    # Numbers, true and false are text on a command line.
    values = _as_json(given)
    if values == given:
        raise texts
    return wrapping({"source": source, **values})


def _members(words: Sequence[str]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            message = "what wraps the key is given as MEMBER=VALUE, as in key_id=alias/clinic"
            raise UsageMistake(message)
        *folders, last = name.split(".")
        inside = members
        for folder in folders:
            inside = inside.setdefault(folder, {})
            if not isinstance(inside, dict):
                message = f"{folder} is given as a value and as an object"
                raise UsageMistake(message)
        if last in inside:
            message = f"{name} is given twice"
            raise UsageMistake(message)
        inside[last] = value
    return members


def _refuse_secrets(model: type[BaseModel] | None, given: Mapping[str, Any], above: str = "") -> None:
    """Refuse secrets on the command line, which everybody on this machine can see."""
    for name, value in given.items() if model is not None else ():
        field = model.model_fields.get(name) if model is not None else None
        kinds = _kinds(field.annotation) if field is not None else []
        if isinstance(value, dict):
            inner = next((kind for kind in kinds if issubclass(kind, BaseModel)), None)
            _refuse_secrets(inner, value, f"{above}{name}.")
        elif any(issubclass(kind, (SecretText, SecretKey)) for kind in kinds):
            message = (
                f"{above}{name} is a secret, which other users of this machine could see in its process list; put the "
                "members into a private file: --wrap FILE.json"
            )
            raise UsageMistake(message)


def _kinds(annotation: object) -> list[type]:
    """Return the classes in an annotation, however they are combined."""
    if isinstance(annotation, type):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_json(one) for name, one in value.items()}
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return parsed if isinstance(parsed, (bool, int)) else value


def wrap_key(key: SecretKey, place: KeyReference, root: str | None = None) -> KeyReference:
    """Return a reference to a key, wrapped by what `place` says, after its source has given the key back.

    Raises:
        UsageMistake: it is the key of a Tink keyset, and the source does not make one.
        KeyRefused, KeyUnavailable, ConfigError: the source did not wrap it, or does not give it back.
    """
    if isinstance(key, TinkKey) and place.source != "tink":
        message = (
            "the key is of a Tink keyset, and only a keyset says how large its segments are; encrypt the keyset by "
            "another key: --wrap tink by.source=… by.…"
        )
        raise UsageMistake(message)
    made = reference(source_of(place.source).wrap(key, place, root).document())
    if place.source != "passphrase":  # a person would be asked a third time
        forget([made], root)
        if resolve(made, root) != key:
            message = f"{source_of(place.source).holder(made)} gave another key back; nothing was written"
            raise InvalidCredentials(message)
    return made
