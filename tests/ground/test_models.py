"""Errors of pydantic models hold no value: not in their text, not in `errors()`, not in `json()`, not behind them."""

from __future__ import annotations

import importlib
import json
import pkgutil
import traceback
from typing import Any, Literal

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import connectors
from connectors.credentials import Encryption
from connectors.fs.manifest import Member
from connectors.models import Model
from connectors.workflow.ccm import RuntimeAppConfig
from connectors.workflow.documents.kinds import Party

MARK = f"hunter{1 + 1}-hunter{1 + 1}"
"""Not in any line of this file, which tracebacks show."""
PACKAGES = ["connectors"] + [
    f"connectors_{name}" for name in ("azure", "cdh", "gcs", "https", "pkcs11", "s3", "sftp", "vault")
]


class Shelf(connectors.Credentials):
    """Credentials of a made-up storage."""

    type: Literal["shelf"] = "shelf"
    token: connectors.SecretText
    shelf: int = 1


def models() -> list[type[BaseModel]]:
    """Every model of the project."""
    for package in PACKAGES:
        home = importlib.import_module(package)
        for module in pkgutil.walk_packages(home.__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    found, new = set(), {BaseModel}
    while new:
        new = {below for one in new for below in one.__subclasses__()} - found
        found |= new
    return sorted((one for one in found if one.__module__.split(".")[0] in PACKAGES), key=repr)


def test_every_model_of_the_project_has_this_base():
    found = models()
    assert len(found) > 20
    assert [one for one in found if not issubclass(one, Model)] == []


def held(error: ValidationError) -> str:
    """Everything that an error holds and that a program could log."""
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    behind = [error.__cause__, error.__context__]
    return "\n".join([str(error), repr(error), repr(error.errors()), error.json(), *told.format(), repr(behind)])


SHELF = {"token": MARK, "encryption": {"key": "5E" * 32}}
WAYS: dict[str, Any] = {
    "in Python": lambda: Shelf(**SHELF, regoin="x"),
    "a member's value": lambda: Shelf(**SHELF, shelf=MARK),
    "a member of a member": lambda: Shelf(token=MARK, encryption={"key": MARK, "segment_size": MARK}),
    "a secret in place of a name": lambda: Shelf(**SHELF, **{MARK * 3: 1}),
    "in place of the document": lambda: Shelf.model_validate(MARK),
    "JSON": lambda: Shelf.model_validate_json(json.dumps({**SHELF, "regoin": "x"})),
    "no JSON": lambda: Shelf.model_validate_json('{"token": ' + MARK),
    "strings": lambda: Shelf.model_validate_strings({"token": MARK, "shelf": MARK}),
    "assigned": lambda: setattr(Shelf(**SHELF), "token", MARK),
    "the key": lambda: Encryption(key=MARK),
    "the context": lambda: Encryption(key="5E" * 32, context=f"{MARK}\0"),
    "a manifest": lambda: Member(size=MARK, pin=MARK),
    "a document": lambda: Party(name=MARK, keys=MARK, contact=[MARK]),
    "a document in JSON": lambda: Party.model_validate_json(json.dumps({"name": MARK, "keys": [MARK]})),
    "a configuration of CCM": lambda: RuntimeAppConfig.model_validate({"config": MARK, "extra": MARK}),
}


@pytest.mark.parametrize("way", WAYS)
def test_validation_error_holds_no_value(way):
    with pytest.raises(ValidationError) as caught:
        WAYS[way]()
    assert caught.value.error_count() > 0
    assert MARK not in held(caught.value)


def test_validation_error_holds_no_value_as_a_member_of_a_strangers_model():
    class Request(BaseModel):
        shelf: Shelf

    with pytest.raises(ValidationError) as caught:
        Request(shelf={**SHELF, "regoin": "x"})
    assert [one["loc"] for one in caught.value.errors()] == [("shelf", "regoin")]
    with pytest.raises(ValidationError) as adapted:
        TypeAdapter(list[Shelf]).validate_python([{**SHELF, "shelf": MARK}])
    for error in (caught.value, adapted.value):
        assert MARK not in repr(error.errors()) + error.json() + str(error)


def test_validation_error_keeps_what_helps():
    with pytest.raises(ValidationError) as caught:
        Shelf(token="x", encryption=None, shelf="one", regoin="x")
    assert caught.value.title == "Shelf"
    assert {(one["type"], one["loc"], one["msg"]) for one in caught.value.errors(include_url=False)} == {
        ("int_parsing", ("shelf",), "Input should be a valid integer, unable to parse string as an integer"),
        ("extra_forbidden", ("regoin",), "Extra inputs are not permitted"),
    }
