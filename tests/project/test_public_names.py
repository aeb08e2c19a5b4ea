"""The public names: what they are, and that importing them costs little and reaches no plugin."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import connectors
import connectors.storage
from connectors import errors

CLOUD = {"s3fs", "botocore", "aiobotocore", "aiohttp", "urllib3", "boto3", "moto", "pandas"}


def loaded(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after `code`."""
    program = f"import sys; {code}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_costs_nothing():
    assert not loaded("import connectors") & ({"fsspec", "pydantic", "cryptography", "rich", "typer"} | CLOUD)


@pytest.mark.parametrize("name", sorted(connectors.__all__))
def test_no_public_name_loads_a_cloud_library(name):
    assert not loaded(f"import connectors; connectors.{name}") & CLOUD


def test_listing_the_backends_loads_no_cloud_library():
    assert not loaded("import connectors; connectors.backends()") & CLOUD


def test_every_public_name_is_there_and_listed():
    for name in connectors.__all__:
        assert getattr(connectors, name) is not None
    assert set(connectors.__all__) <= set(dir(connectors))
    with pytest.raises(AttributeError, match="has no attribute 'opne_reader'"):
        connectors.opne_reader  # noqa: B018


def test_each_name_for_backends_is_there_and_loads_no_cloud_library():
    assert connectors.storage.__all__ == sorted(connectors.storage.__all__, key=lambda one: (not one.isupper(), one))
    assert set(connectors.storage.__all__) <= set(dir(connectors.storage))
    assert not loaded("from connectors.storage import *") & CLOUD
    assert "fsspec" not in loaded("from connectors.storage import Backend, Credentials")
    with pytest.raises(AttributeError, match="has no attribute 'Bakcend'"):
        connectors.storage.Bakcend  # noqa: B018


MODULES = sorted(
    one.name
    for one in pkgutil.walk_packages(connectors.__path__, "connectors.")
    if not one.name.endswith(("__main__", "pytest_plugin", "upath"))
)


@pytest.mark.parametrize("module", MODULES)
def test_all_of_a_module_exists(module):
    loaded_module = importlib.import_module(module)
    names = getattr(loaded_module, "__all__", [])
    assert all(hasattr(loaded_module, name) for name in names)
    assert len(names) == len(set(names))


def test_tree_of_errors_is_the_one_that_is_drawn():
    drawn: dict[str, tuple[str | None, str | None]] = {}
    parents: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)(?: \((\w+)\))?", line)
        if match:
            depth = len(match[1]) // 4 + ("──" in line)
            parents[depth:] = [match[2]]
            drawn[match[2]] = (parents[depth - 1] if depth else None, match[3])
    classes = {name: getattr(errors, name) for name in errors.__all__ if name != "naming"}
    assert set(drawn) == set(classes)
    for name, (parent, builtin) in drawn.items():
        bases = {base.__name__ for base in classes[name].__bases__}
        assert (parent or "Exception") in bases
        assert builtin is None or builtin in bases


def test_errors_name_the_dataset_once():
    with pytest.raises(errors.ObjectNotFound) as caught, errors.naming("outer"), errors.naming("input/x"):
        raise errors.ObjectNotFound("nothing there")
    assert str(caught.value) == "input/x: nothing there"
