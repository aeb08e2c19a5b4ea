"""The registry of installed key sources: find the one that a reference names, and validate the reference."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from connectors.errors import BackendConflict, BackendNotFound, InvalidCredentials, NotSupported
from connectors.keys.contract import KeyReference, KeySource
from connectors.models import printable_name
from connectors.secrets import Hidden
from connectors.system.plugins import declared, registered
from connectors.wording import problems

if TYPE_CHECKING:
    import importlib.metadata
    from collections.abc import Iterator

__all__ = ["GROUP", "InstalledSource", "object_wrapping", "reference", "source_of", "sources", "wrapping"]

GROUP = "connectors.keys"
"""The entry-point group that key sources register under."""
DECLARED = "connectors.key_sources"
"""The entry-point group of the core's metadata that maps sources to extras. Read as data, never loaded."""


@dataclass(frozen=True, slots=True)
class InstalledSource:
    """A key source and the distribution that provides it.

    Attributes:
        name: the source's name.
        distribution: the name of the distribution that registered it.
        version: the version of that distribution.
        problem: why it cannot be used, or None.
        source: its class; None if it cannot be used.
    """

    name: str
    distribution: str
    version: str
    problem: str | None = None
    source: type[KeySource] | None = None


def sources() -> list[InstalledSource]:
    """Return the installed key sources by name, including those that cannot be loaded, with the reason.

    >>> [one.name for one in sources() if one.distribution == "enclave-connectors"]
    ['file', 'passphrase', 'tink', 'wrapped']
    """
    return list(_installed())


@functools.cache
def _installed() -> tuple[InstalledSource, ...]:
    found = [
        InstalledSource(one.name, one.distribution, one.version, one.problem, one.value)
        for one in registered(GROUP, _incomplete)
    ]
    return tuple(sorted(found, key=lambda one: (one.name, one.distribution)))


def _incomplete(source: object, point: importlib.metadata.EntryPoint) -> str | None:
    """Return why a registered class is not a valid source, or None."""
    if not (isinstance(source, type) and issubclass(source, KeySource)):
        return f"{point.value} is not a KeySource called {point.name!r}"
    if getattr(source, "name", None) != point.name:
        return f"{point.value} is not a KeySource called {point.name!r}"
    if not isinstance(getattr(source, "summary", None), str):
        return f"{point.value} has no summary"
    wrappings = [name for name in ("Wrapping", "ObjectWrapping") if getattr(source, name) is not None]
    for name in ("Reference", *wrappings):
        model = getattr(source, name, None)
        if not (isinstance(model, type) and issubclass(model, KeyReference)) or _source_in(model) != point.name:
            return f"{point.value} has no {name} model whose source is {point.name!r}"
    return None


def _source_in(model: type[KeyReference]) -> object:
    return model.model_fields["source"].default


def source_of(name: str) -> KeySource:
    """Return the key source of a name.

    Raises:
        BackendNotFound: none is installed; the message names the plugin to install if it is known.
        BackendConflict: two are.
    """
    found = [one for one in _installed() if one.name == name]
    if len(found) > 1:
        owners = " and ".join(f"{one.distribution} {one.version}" for one in found)
        message = f"{owners} both provide the key source {name!r}; uninstall one of them"
        raise BackendConflict(message)
    if found and found[0].source is not None:
        return found[0].source()
    if found:
        message = f"{found[0].distribution} is installed but cannot be used: {found[0].problem}"
    elif name in declared(DECLARED):
        extra = declared(DECLARED)[name]
        message = (
            f'the key source {name!r} is not installed; install it with: pip install "enclave-connectors[{extra}]"'
        )
    else:
        message = f"there is no key source {printable_name(name)!r}; {_did_you_mean(name)}"
    raise BackendNotFound(message)


def _did_you_mean(name: str) -> str:
    names = sorted({one.name for one in _installed()} | declared(DECLARED).keys())
    close = difflib.get_close_matches(name.lower(), names, n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else f"known: {', '.join(names)}"


def reference(document: Mapping[str, Any] | Hidden) -> KeyReference:
    """Return a reference in a document, validated by the model of its source.

    Raises:
        InvalidCredentials: it breaks a rule; the message names each member and rule, never a member's value.
        BackendNotFound, BackendConflict: its source is not installed, or installed twice.
    """
    return _validated("Reference", Hidden(document))


def wrapping(document: Mapping[str, Any] | Hidden) -> KeyReference:
    """Return what a new key is to be wrapped by, validated by the model of its source.

    Raises:
        NotSupported: the source wraps no keys.
        InvalidCredentials, BackendNotFound, BackendConflict: as for `reference`.
    """
    return _validated("Wrapping", Hidden(document))


def object_wrapping(document: Mapping[str, Any] | Hidden) -> KeyReference:
    """Return what wraps the keys of objects that each have their own, validated by the model of its source.

    Raises:
        NotSupported: the source does not do that.
        InvalidCredentials, BackendNotFound, BackendConflict: as for `reference`.
    """
    return _validated("ObjectWrapping", Hidden(document))


def _validated(kind: str, document: Hidden) -> KeyReference:
    members = document.reveal()
    name = members.get("source") if isinstance(members, Mapping) else None
    del members  # a traceback that prints locals would print them
    if not isinstance(name, str):
        message = 'a key is 64 hexadecimal digits, or an object that names its source, as in {"source": "file", …}'
        raise InvalidCredentials(message)
    source = source_of(name)
    model: type[KeyReference] | None = getattr(source, kind)
    if model is None:
        what = "wraps no keys; it gives keys that its owner has put there"
        if kind == "ObjectWrapping":
            what = "wraps no keys of single objects; name one that does, such as aws-kms"
        message = f"the key source {name!r} {what}"
        raise NotSupported(message)
    found: list[str] = []
    try:
        return model.model_validate(dict(document.reveal()))
    except ValidationError as error:
        found.extend(_prefixed(name, problems(error, model)))
    # Raised outside the handler: the error must not become the context.
    raise InvalidCredentials("; ".join(found))


def _prefixed(name: str, found: Iterator[str]) -> Iterator[str]:
    yield f"{name}: {next(found)}"
    yield from found
