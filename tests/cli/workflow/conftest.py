"""The folders of three people, as they are after each step of their story."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from three_people import PEOPLE, STAGES
from workspaces import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Callable[[str], Path]:
    """The folders of all three as they are after a step of the story, made once for all tests."""
    root = tmp_path_factory.mktemp("story")

    def made(name: str) -> Path:
        folder = root / name
        if not folder.exists():
            names = list(STAGES)
            if name != names[0]:
                shutil.copytree(made(names[names.index(name) - 1]), folder)
            STAGES[name](*(Workspace(folder / person) for person in PEOPLE))
        return folder

    return made


def desks_after(name: str) -> Callable[..., dict[str, Workspace]]:
    @pytest.fixture(name=name)
    def workspaces(stage, tmp_path) -> dict[str, Workspace]:
        shutil.copytree(stage(name), tmp_path / "story")
        return {person: Workspace(tmp_path / "story" / person) for person in PEOPLE}

    return workspaces


people, drafted, filled, asked, approved = map(desks_after, STAGES)
