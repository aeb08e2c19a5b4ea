"""Errors: caught by what they are, told with the dataset's name, and able to travel between processes."""

from __future__ import annotations

import copy
import pickle

import pytest

from connectors import errors
from connectors.errors import ConnectorError, naming

CLASSES = [getattr(errors, name) for name in errors.__all__ if name != "naming"]


@pytest.mark.parametrize("kind", CLASSES)
def test_each_is_a_connector_error_with_its_message_as_text(kind: type[ConnectorError]) -> None:
    error = kind("what to do")
    assert isinstance(error, ConnectorError)
    assert str(error) == "what to do"
    assert error.dataset is None
    assert kind.__doc__


@pytest.mark.parametrize("kind", CLASSES)
def test_each_travels_with_its_name(kind: type[ConnectorError]) -> None:
    error = kind("what to do")
    error.dataset = "input/conditions"
    error.add_note("a note")
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is kind
        assert str(other) == "input/conditions: what to do"
        assert other.__notes__ == ["a note"]


def test_what_the_system_said_travels_along() -> None:
    error = errors.MachineFailed("/data/copy cannot be written")
    error.errno, error.strerror, error.filename = 28, "No space left on device", "/data/copy"
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (other.errno, other.strerror, other.filename) == (28, "No space left on device", "/data/copy")
        assert str(other) == "/data/copy cannot be written"


def test_an_integrity_error_is_no_os_error() -> None:
    """What retries or ignores errors of input and output must not swallow it."""
    for kind in (errors.IntegrityError, errors.WrongKey, errors.TruncatedObject):
        assert not issubclass(kind, (OSError, ValueError))


def test_naming_leaves_a_name_that_is_there_and_errors_of_others() -> None:
    named = errors.ObjectNotFound("nothing there")
    named.dataset = "input/conditions"
    with pytest.raises(errors.ObjectNotFound, match="^input/conditions: nothing there$"), naming("output/result"):
        raise named
    with pytest.raises(ZeroDivisionError) as caught, naming("output/result"):
        raise ZeroDivisionError
    assert not hasattr(caught.value, "dataset")


def test_naming_nothing_changes_nothing() -> None:
    with pytest.raises(errors.ObjectNotFound, match="^nothing there$"), naming(None):
        raise errors.ObjectNotFound("nothing there")
