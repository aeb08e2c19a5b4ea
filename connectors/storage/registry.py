"""The registry of installed backends: find the one that serves a location and its credentials."""

from __future__ import annotations

import difflib
import functools
import importlib.metadata
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from connectors.credentials.model import Credentials, parse_document, printable_name, validate
from connectors.errors import BackendConflict, BackendNotFound, InvalidLocation
from connectors.secrets import Hidden, redact_url
from connectors.storage.backend import Backend
from connectors.system.plugins import declared, registered

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GROUP", "InstalledBackend", "backends", "for_scheme", "resolve", "scheme_of", "taken_names"]

GROUP = "connectors.backends"
"""The entry-point group that backends register under."""
DECLARED = "connectors.schemes"
"""The entry-point group of the core's metadata that maps schemes to extras. Read as data, never loaded."""


@dataclass(frozen=True, slots=True)
class InstalledBackend:
    """A backend and the distribution that provides it.

    Attributes:
        name: the backend's name, and its credentials' `type`.
        schemes: the location schemes it serves.
        distribution: name of the distribution that registered it.
        version: version of that distribution.
        problem: why it cannot be used, or None.
    """

    name: str
    schemes: tuple[str, ...]
    distribution: str
    version: str
    problem: str | None = None
    backend: type[Backend] | None = None


def backends() -> list[InstalledBackend]:
    """Return the installed backends by name, including those that cannot be loaded, with the reason.

    >>> [backend.name for backend in backends() if backend.distribution == "enclave-connectors"]
    ['file', 'memory']
    """
    return list(_installed())


@functools.cache
def _installed() -> tuple[InstalledBackend, ...]:
    found = [
        InstalledBackend(
            one.name,
            () if one.value is None else tuple(one.value.schemes),
            one.distribution,
            one.version,
            one.problem,
            one.value,
        )
        for one in registered(GROUP, _incomplete)
    ]
    return tuple(sorted(found, key=lambda backend: (backend.name, backend.distribution)))


def _incomplete(backend: object, point: importlib.metadata.EntryPoint) -> str | None:
    """Return why a registered class is not a valid backend, or None."""
    if not (isinstance(backend, type) and issubclass(backend, Backend)):
        return f"{point.value} is not a Backend called {point.name!r}"
    if getattr(backend, "name", None) != point.name:
        return f"{point.value} is not a Backend called {point.name!r}"
    schemes = getattr(backend, "schemes", None)
    if not isinstance(schemes, (tuple, list)) or not all(isinstance(one, str) for one in schemes):
        return f"{point.value} has no tuple of schemes"
    model = getattr(backend, "Credentials", None)
    if not (isinstance(model, type) and issubclass(model, Credentials)):
        return f"{point.value} has no Credentials model"
    wrong = _wrong_hints(backend)
    return f"{point.value} has {wrong}" if wrong else None


def _wrong_hints(backend: type[Backend]) -> str | None:
    """Return the problem with what a backend declares for suggestions, or None."""
    aliases: object = backend.aliases
    if not isinstance(aliases, Mapping) or not all(isinstance(one, str) for one in aliases):
        return "aliases that are not a mapping of schemes"
    if not all(scheme in backend.schemes for scheme in aliases.values()):
        return "aliases for schemes that it does not serve"
    prefixes: object = backend.Credentials.member_prefixes
    if not isinstance(prefixes, tuple) or not all(isinstance(one, str) for one in prefixes):
        return "Credentials whose member_prefixes are not a tuple of text"
    return None


def taken_names() -> set[str]:
    """Return the names that no new backend may have: of this project's backends, schemes and extras, and of others."""
    installed = {name for one in _installed() for name in (one.name, *one.schemes)}
    aliases = {alias for one in _installed() if one.backend for alias in one.backend.aliases}
    try:
        extras = importlib.metadata.metadata("enclave-connectors").get_all("Provides-Extra") or []
    except importlib.metadata.PackageNotFoundError:
        extras = []
    return {"dataset", *declared(DECLARED), *extras, *installed, *aliases}


def _only(candidates: Iterable[InstalledBackend], claim: str) -> InstalledBackend | None:
    found = list(candidates)
    if len(found) > 1:
        owners = " and ".join(sorted(f"{one.distribution} {one.version}" for one in found))
        message = f"{owners} both claim the {claim}; uninstall one of them"
        raise BackendConflict(message)
    return found[0] if found else None


def _usable(found: InstalledBackend | None, claim: str, hint: str | None, advice: str) -> Backend:
    if found is not None and found.backend is not None:
        return found.backend()
    broken = [one for one in _installed() if one.problem and (one == found or one.name == hint)]
    if broken:
        message = f"{broken[0].distribution} is installed but cannot be used: {broken[0].problem}"
    elif hint:
        message = f"no installed backend serves the {claim}; install it with: pip install enclave-connectors-{hint}"
    else:
        message = f"no installed backend serves the {claim}; {advice}"
    raise BackendNotFound(message)


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a suggestion for an unknown name, or the list of known names."""
    names = sorted(known)
    aliases = {alias: scheme for one in _installed() if one.backend for alias, scheme in one.backend.aliases.items()}
    close = difflib.get_close_matches(aliases.get(name.lower(), name.lower()), names, n=1, cutoff=0.75)
    return f"did you mean {close[0]}?" if close else f"installed: {', '.join(names)}"


def scheme_of(location: str) -> str:
    """Return a location's scheme, in lower case.

    Raises:
        InvalidLocation: it has no scheme.
    """
    scheme, separator, rest = location.partition("://")
    if not separator or not rest or not scheme.replace("+", "").replace("-", "").isalnum():
        message = f"the location {redact_url(location)!r} is not a URL; {_as_url(location)}"
        raise InvalidLocation(message)
    return scheme.lower()


_QUOTES = "\"'`“”„‘’«»<>"  # noqa: RUF001 - typographic quotation marks


def _as_url(location: str) -> str:
    """Return advice about a location that is not a URL."""
    if location.strip(f" \t\r\n{_QUOTES}") != location:
        return "leave out the white space and the quotation marks around it"
    if location.endswith("://"):
        return "add what it refers to, as in s3://bucket/key"
    one_slash = re.match(r"([a-z][a-z0-9]{1,9}):/?[^/\\]", location)
    if one_slash and one_slash[1] in {scheme for one in _installed() for scheme in one.schemes}:
        return f"it must begin with {one_slash[1]}://, with two slashes"
    known = (advice for form, advice in _NO_URLS if re.match(form, location))
    return next(known, "write it with its scheme, as in s3://bucket/key")


_NO_URLS = (
    (r"[A-Za-z]:\\|\\\\", "this is a Windows path; write a local file as file:///data/conditions"),
    (r"[~.]{0,2}/", "write a local file with its full path, as in file:///data/conditions"),
    (r"dataset:", "dataset:// refers to a dataset of an app config; give the storage's URL here"),
    (r"[A-Za-z0-9_.@-]+:[~./]", "write a file on another machine as sftp://host/path"),
)


def for_scheme(scheme: str) -> Backend:
    """Return the backend that serves `scheme`.

    Raises:
        BackendNotFound: no installed backend does; the message names the plugin to install if it is known.
        BackendConflict: two backends do.
    """
    claim = f"scheme {scheme!r}"
    found = _only((one for one in _installed() if scheme in one.schemes), claim)
    if scheme == "dataset":
        message = "dataset:// refers to a dataset of an app config; give the storage's URL here"
        raise InvalidLocation(message)
    known = {scheme for one in _installed() for scheme in one.schemes}
    return _usable(found, claim, declared(DECLARED).get(scheme), _did_you_mean(scheme, known))


def _for_type(name: str) -> Backend:
    claim = f"credentials type {name!r}"
    found = _only((one for one in _installed() if one.name == name), claim)
    advice = _did_you_mean(declared(DECLARED).get(name.lower(), name), {one.name for one in _installed()})
    return _usable(found, claim, name if name in declared(DECLARED).values() else None, advice)


def resolve(
    location: str, document: bytes | str | Mapping[str, Any] | Credentials | Hidden
) -> tuple[Backend, Credentials]:
    """Return the backend for `document` and `location`, and the document as validated credentials.

    Raises:
        InvalidLocation: the location has no scheme, or one that the document's backend does not serve.
        InvalidCredentials: the document breaks a rule.
        BackendNotFound, BackendConflict: no backend serves it, or two do.
    """
    if not isinstance(document, Credentials):
        document = Hidden(document)
    scheme = scheme_of(location)
    if isinstance(document, Credentials):
        owners = [one.backend for one in _installed() if one.backend and one.backend.Credentials is type(document)]
        if not owners:
            message = f"no installed backend takes {type(document).__name__}"
            raise BackendNotFound(message)
        backend, credentials = owners[0](), document
    else:
        members = Hidden(parse_document(document))
        name = _type_of(members.reveal())
        backend = for_scheme(scheme) if name is None else _for_type(name)
        others = _schemes_of_others(backend, members.reveal()) if name is None else ()
        if others:
            message = (
                f"the credentials are for a location that begins with {others[0]}://, and this one is {scheme}://…; "
                "correct one of them"
            )
            raise InvalidLocation(message)
        credentials = validate(backend.Credentials, members)
    if scheme not in backend.schemes:
        served = " or ".join(f"{one}://" for one in backend.schemes)
        message = f"credentials of type {backend.name!r} are for {served} locations, not {scheme}://"
        raise InvalidLocation(message)
    credentials.has_manifest(location)  # raises if they contradict each other
    return backend, credentials


def _schemes_of_others(backend: Backend, members: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the schemes of the only backend that knows all the members, if this one does not."""
    if members.keys() <= backend.Credentials.model_fields.keys():
        return ()
    owners = [
        one.schemes
        for one in _installed()
        if one.backend is not None and members.keys() <= one.backend.Credentials.model_fields.keys()
    ]
    return owners[0] if len(owners) == 1 else ()


def _type_of(members: Mapping[str, Any]) -> str | None:
    """Return the type in a document, safe to print."""
    name = members.get("type")
    return printable_name(name) if isinstance(name, str) else None


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the credentials documents of all installed backends."""
    from pydantic.json_schema import models_json_schema  # noqa: PLC0415 - only `connectors schema` needs it

    models = [one.backend.Credentials for one in _installed() if one.backend]
    references, definitions = models_json_schema([(model, "validation") for model in models])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Credentials of a dataset",
        "anyOf": [references[model, "validation"] for model in models],
        **definitions,
    }
