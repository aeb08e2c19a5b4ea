"""The contract of key sources: what is wrapped comes back, refusals are told from outages, and no secret is shown."""

from __future__ import annotations

import base64
import json
import os
import pickle
import threading
import traceback
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import connectors
from connectors.errors import ConnectorError, InvalidKey, KeyRefused, KeyUnavailable
from connectors.keys import (
    KeyReference,
    ObjectKeys,
    forget,
    object_wrapping,
    reference,
    resolve,
    source_of,
    sources,
    wrapping,
)
from connectors.secrets import SecretKey
from connectors.storage import registry
from connectors.testing.tools import Contract, Heard, in_child, leaks_among

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KeyService", "KeySourceContract"]


class KeyService(ABC):
    """A key service for the tests: real, or a fake that says it is one.

    Attributes:
        source: the name of the key source that it is for.
        shown: texts that errors must hold: the service's name, and the name of its key or resource.
        requests: how many requests have arrived; None if nobody can count them.
        refusal, outage: what is raised after `refuse` and after `vanish`; None if nothing can be refused.
    """

    source: str
    shown: tuple[str, ...] = ()
    requests: int | None = None
    refusal: type[ConnectorError] | None = KeyRefused
    outage: type[ConnectorError] = KeyUnavailable

    @abstractmethod
    def secrets(self) -> list[str]:
        """Return what must be shown nowhere: passwords and tokens in references, and those that the service issues."""

    def wrapping(self) -> dict[str, Any] | None:
        """Return the document of what keys are wrapped by; None if the source wraps none."""
        return None

    def object_wrapping(self) -> dict[str, Any] | None:
        """Return the document of what wraps the keys of objects that each have their own; None if nothing does."""
        return None

    def hold(self, key: SecretKey) -> dict[str, Any]:
        """Return the document of a reference that leads to `key`. A service that wraps no keys overrides this."""
        place = self.wrapping()
        assert place is not None, "override `hold`, or return a wrapping"
        made = wrapping(place)
        return source_of(made.source).wrap(key, made, None).document()

    def hold_bytes(self, data: bytes) -> dict[str, Any] | None:
        """Return the document of a reference that leads to bytes that are no key; None if that cannot be."""
        del data
        return None

    @abstractmethod
    def refuse(self) -> None:
        """Refuse all further requests, as a service does if a permission is missing."""

    @abstractmethod
    def vanish(self) -> None:
        """Be unreachable from now on, as a service that was stopped."""


class KeySourceContract(Contract):
    """The contract of a key source: subclass it with a fixture `service`."""

    @pytest.fixture
    def store(self) -> Any:
        """No storage is needed."""
        return None

    @pytest.fixture
    def service(self) -> KeyService:
        """The key service; a subclass overrides it."""
        message = f"{type(self).__name__} needs a fixture `service` that returns a connectors.testing.KeyService"
        raise NotImplementedError(message)

    @pytest.fixture
    def key(self) -> SecretKey:
        """A new key."""
        return SecretKey.generate()

    # What it is.

    def test_source_is_registered(self, service: KeyService) -> None:
        (found,) = [one for one in sources() if one.name == service.source]
        assert found.problem is None
        assert found.source is not None
        assert found.source.name == service.source

    def test_schema_of_credentials_has_the_source(self, service: KeyService) -> None:
        assert f'"const": "{service.source}"' in json.dumps(registry.schema())

    # Keys.

    def test_reference_leads_to_the_key(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        assert json.loads(json.dumps(document)) == document
        assert _ask(document) == key

    def test_reference_does_not_contain_the_key(self, service: KeyService, key: SecretKey) -> None:
        text = json.dumps(service.hold(key))
        raw = key.reveal()
        assert raw.hex() not in text.lower()
        assert base64.b64encode(raw).decode() not in text
        assert raw not in b"".join(_wrapped_in(reference(json.loads(text))))

    def test_each_key_has_its_own_reference(self, service: KeyService) -> None:
        keys = [SecretKey.generate() for _ in range(3)]
        documents = [service.hold(key) for key in keys]
        assert [_ask(document) for document in documents] == keys

    def test_reference_is_written_as_it_was_read(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        assert reference(document).document() == document

    def test_changed_wrapped_key_is_refused(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        for member in [name for name in document if name == "wrapped"]:
            given = base64.b64decode(document[member]) if _is_base64(document[member]) else document[member].encode()
            for at in (0, len(given) // 2, len(given) - 2):
                changed = bytearray(given)
                changed[at] = ord("A") if changed[at] != ord("A") else ord("B")
                text = base64.b64encode(changed).decode() if _is_base64(document[member]) else changed.decode("latin-1")
                with pytest.raises((KeyRefused, InvalidKey, connectors.errors.InvalidCredentials)):
                    _ask({**document, member: text})

    @pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
    def test_bytes_that_are_no_key_are_refused(self, service: KeyService, size: int) -> None:
        data = b"\xff" * size
        document = service.hold_bytes(data)
        if document is None:
            return
        with pytest.raises(InvalidKey) as caught:
            _ask(document)
        assert "\xff" not in str(caught.value)

    # Keys of objects that each have their own.

    def test_object_s_key_is_opened_with_its_context_only(self, service: KeyService, key: SecretKey) -> None:
        keys = _keys_of_objects(service)
        if keys is None:
            return
        context = {**keys.context, "purpose": "one"}
        wrapped = keys.seal(key, context)
        assert key.reveal() not in wrapped
        assert keys.open(wrapped, context) == key
        for other in ({**context, "purpose": "other"}, dict(keys.context), {**context, "more": "x"}):
            with pytest.raises(KeyRefused):
                keys.open(wrapped, other)
        for at in (0, len(wrapped) // 2, len(wrapped) - 1):
            changed = bytearray(wrapped)
            changed[at] ^= 1
            with pytest.raises((KeyRefused, InvalidKey)):
                keys.open(bytes(changed), context)

    def test_object_s_key_is_asked_for_once(self, service: KeyService, key: SecretKey) -> None:
        keys = _keys_of_objects(service)
        if keys is None or service.requests is None:
            return
        wrapped = keys.seal(key, keys.context)
        before = service.requests
        assert [keys.open(wrapped, keys.context) for _ in range(3)] == [key] * 3
        assert service.requests - before <= _most_requests(service)

    def test_errors_about_objects_keys_show_no_secret(self, service: KeyService, key: SecretKey) -> None:
        keys = _keys_of_objects(service)
        if keys is None:
            return
        wrapped = keys.seal(key, keys.context)
        service.vanish()
        for ask in (lambda: keys.seal(key, keys.context), lambda: keys.open(wrapped, keys.context)):
            with pytest.raises(service.outage, match=r"^encryption\.key: ") as caught:
                ask()
            _check_error(service, caught.value, key)
            trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
            assert leaks_among([*service.secrets(), *_forms(key)], "".join(trace.format())) == []
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(keys)

    # In datasets.

    def test_dataset_is_written_and_read_with_a_reference(self, service: KeyService, key: SecretKey) -> None:
        document = {"encryption": {"key": service.hold(key)}}
        location = f"memory://keys/{os.urandom(8).hex()}"
        connectors.Dataset(location, document).write_bytes(b"37.2")
        assert connectors.Dataset(location, document).read_bytes() == b"37.2"
        assert connectors.Dataset(location, {"encryption": {"key": key}}).read_bytes() == b"37.2"

    def test_key_is_asked_for_when_it_is_first_used_and_once(self, service: KeyService, key: SecretKey) -> None:
        document = {"encryption": {"key": service.hold(key)}}
        if service.requests is None:
            return
        before = service.requests
        location = f"memory://keys/{os.urandom(8).hex()}"
        dataset = connectors.Dataset(location, document)
        assert service.requests == before
        dataset.write_bytes(b"37.2")
        asked = service.requests
        assert asked > before
        assert connectors.Dataset(location, document).read_bytes() == b"37.2"
        assert service.requests == asked
        dataset.refresh()
        assert dataset.read_bytes() == b"37.2"
        assert service.requests > asked

    def test_threads_share_an_answer(self, service: KeyService, key: SecretKey) -> None:
        found = reference(service.hold(key))
        forget([found])
        resolve(reference(service.hold(SecretKey.generate())))  # whatever is asked for once, such as a token
        before, start = service.requests, threading.Barrier(8)

        def ask(_: int) -> SecretKey:
            start.wait()
            return resolve(found)

        with ThreadPoolExecutor(8) as pool:
            assert set(map(SecretKey.reveal, pool.map(ask, range(8)))) == {key.reveal()}
        if before is not None and service.requests is not None:
            assert service.requests - before <= _most_requests(service)

    @pytest.mark.parametrize("context", ["fork", "spawn"])
    def test_other_processes_ask_for_themselves(self, service: KeyService, key: SecretKey, context: str) -> None:
        document = service.hold(key)
        assert _ask(document) == key  # connections are open now
        assert in_child(context, _digits, document) == key.reveal().hex()
        assert _ask(document) == key

    # Errors.

    def test_refusal_says_who_refuses(self, service: KeyService, key: SecretKey) -> None:
        if service.refusal is None:
            return
        document = service.hold(key)
        service.refuse()
        with pytest.raises(service.refusal) as caught:
            _ask(document)
        _check_error(service, caught.value, key)

    def test_outage_says_what_is_unreachable(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        service.vanish()
        with pytest.raises(service.outage) as caught:
            _ask(document)
        _check_error(service, caught.value, key)

    def test_dataset_s_error_names_the_dataset(self, service: KeyService, key: SecretKey) -> None:
        document = {"encryption": {"key": service.hold(key)}}
        forget([reference(document["encryption"]["key"])])
        service.vanish()
        dataset = connectors.Dataset("memory://keys/one", document, name="input/conditions")
        with pytest.raises(service.outage, match=r"^input/conditions: encryption\.key: "):
            dataset.read_bytes()

    def test_secrets_are_shown_nowhere(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        with Heard() as heard:
            found = reference(document)
            forget([found])
            resolve(found)
            dataset = connectors.Dataset("memory://keys/two", {"encryption": {"key": document}})
            dataset.write_bytes(b"37.2")
            errors = [_error_of({**document, "surplus": 1}), _error_of({"source": service.source})]
            service.vanish()
            errors.append(_error_of(document))
        holder = source_of(service.source).holder(found)
        fs, _ = dataset.filesystem()
        shown = [found, str(found), found.model_dump(), found.model_dump_json(), holder, dataset, dataset.credentials]
        shown += [vars(found), fs, vars(fs), *errors, "\n".join(heard.lines)]
        assert leaks_among([*service.secrets(), *_forms(key)], *shown) == []
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(found)

    def test_traceback_with_locals_shows_no_secret(self, service: KeyService, key: SecretKey) -> None:
        document = service.hold(key)
        found = reference(document)
        forget([found])
        service.vanish()
        error = _error_of_reference(found)
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        assert leaks_among([*service.secrets(), *_forms(key)], "".join(trace.format())) == []


def _ask(document: dict[str, Any]) -> SecretKey:
    """Return the key of a reference, from its service."""
    found = reference(document)
    forget([found])
    return resolve(found)


def _keys_of_objects(service: KeyService) -> ObjectKeys | None:
    document = service.object_wrapping()
    return None if document is None else ObjectKeys(object_wrapping(document), None, "encryption.key")


def _digits(document: dict[str, Any]) -> str:
    return _ask(document).reveal().hex()


def _most_requests(service: KeyService) -> int:
    """Return the most requests of one answer: one, or one for what logs in."""
    del service
    return 2


def _wrapped_in(found: KeyReference) -> Iterator[bytes]:
    for value in vars(found).values():
        if isinstance(value, bytes):
            yield value


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


def _forms(key: SecretKey) -> list[str]:
    raw = key.reveal()
    return [raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode(), repr(raw)[2:-1]]


def _error_of(document: dict[str, Any]) -> BaseException:
    try:
        _ask(document)
    except ConnectorError as error:
        return error
    pytest.fail("there was no error")


def _error_of_reference(found: KeyReference) -> BaseException:
    try:
        resolve(found)
    except ConnectorError as error:
        return error
    pytest.fail("there was no error")


def _check_error(service: KeyService, error: ConnectorError, key: SecretKey) -> None:
    for text in service.shown:
        assert text in str(error), f"the error does not name {text!r}: {error}"
    assert leaks_among([*service.secrets(), *_forms(key)], error) == []
    assert error.__context__ is None or isinstance(error.__context__, ConnectorError)
