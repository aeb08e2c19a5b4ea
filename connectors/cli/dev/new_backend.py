"""``connectors new-backend``: create the skeleton of a backend plugin, whose tests pass."""

from __future__ import annotations

import os
import re
from importlib.resources import files
from string import Template
from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.options import example
from connectors.errors import ConfigError, ObjectExists
from connectors.storage import registry
from connectors.system.atomic_files import write_folder

__all__ = ["register"]

_NAME = re.compile(r"[a-z][a-z0-9]{0,30}")
_FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",  # a link to this project's own, which the wheel holds as a file
    "gitignore": ".gitignore",
    "workflows/tests.yml": ".github/workflows/tests.yml",
    "package/__init__.py": "connectors_{name}/__init__.py",
    "package/py.typed": "connectors_{name}/py.typed",
    "tests/test_contract.py": "tests/test_contract.py",
}


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("new-backend", epilog=example("new-backend shelf"))(new_backend)


def new_backend(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The backend's name, also the scheme of its URLs.")],
) -> None:
    """Create a plugin for another storage system, in a new folder.

    The plugin works as it is, and its tests check the contract that every backend must keep. Replace its parts with
    those for your storage system.
    """
    if not _NAME.fullmatch(name):
        message = f"a backend's name consists of lower-case letters and digits and starts with a letter, not {name!r}"
        raise ConfigError(message)
    if name in registry.taken_names():
        message = (
            f"{name!r} is a name of enclave-connectors itself, or of a backend that is installed here, which would "
            "conflict with yours; choose another name"
        )
        raise ConfigError(message)
    folder = f"enclave-connectors-{name}"
    if os.path.lexists(folder):
        message = f"{folder} already exists and was not changed"
        raise ObjectExists(message)
    write_folder(folder, _skeleton(name), private=False)
    console.note(f"Wrote {folder}. Try it: cd {folder}; pip install -e '.[test]'; python -m pytest")


def _skeleton(name: str) -> dict[str, bytes]:
    skeleton = files("connectors.cli.dev").joinpath("skeleton")
    return {
        target.format(name=name): Template(skeleton.joinpath(f"{source}.template").read_text("utf-8"))
        .substitute(name=name, title=name.capitalize())
        .encode()
        for source, target in _FILES.items()
    }
