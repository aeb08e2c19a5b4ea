"""Wheels as users install them: built here, put into a fresh virtual environment, and found by their entry points."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).parent / "uv"
PLUGINS = ["azure", "cdh", "gcs", "https", "pkcs11", "s3", "sftp", "vault"]
ORIGIN = json.loads(distribution("enclave-connectors").read_text("direct_url.json") or "{}")
"""Where this distribution was installed from: https://packaging.python.org/specifications/direct-url/"""


def build(root: Path, folder: Path) -> dict[str, Path]:
    """Build the wheels of all distributions; return them by name."""
    for place in [root, *(root / "plugins" / name for name in PLUGINS)]:
        command = [UV, "build", "--quiet", "--offline", "--wheel", "--no-build-isolation", "--out-dir", folder, place]
        subprocess.run([*command, "--python", sys.executable], check=True, capture_output=True)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


def digests(wheels: dict[str, Path]) -> dict[str, str]:
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in wheels.items()}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    return build(ROOT, tmp_path_factory.mktemp("wheels"))


@pytest.mark.skipif("dir_info" in ORIGIN, reason="what is installed is this folder; `make test-wheels` installs wheels")
def test_installed_wheels_are_what_is_tested():
    names = ["connectors", *(f"connectors_{name}" for name in PLUGINS)]
    program = f"import {', '.join(names)}, sys; print(*(sys.modules[name].__file__ for name in {names}), sep='\\n')"
    imported = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, cwd=ROOT)
    files = [one.__file__ for name, one in sys.modules.items() if name.partition(".")[0] in names]
    for file in [*files, *imported.stdout.split()]:
        assert Path(file).is_relative_to(sys.prefix), file


def test_every_distribution_is_built(wheels):
    assert sorted(wheels) == ["enclave_connectors", *(f"enclave_connectors_{name}" for name in PLUGINS)]


def test_wheels_built_from_a_copy_are_the_same_bytes(wheels, tmp_path):
    """Elsewhere, by a user with another umask, from files of another day: anyone can compare."""
    copy, before = tmp_path / "another-place", os.umask(0o077)
    try:
        copy.mkdir()
        for name in ("connectors", "plugins", "pyproject.toml", "README.md", "LICENSE", ".gitignore"):
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True)
            else:
                shutil.copyfile(ROOT / name, copy / name)
        for path in copy.rglob("*"):
            os.utime(path, (1_700_000_000, 1_700_000_000), follow_symlinks=False)
            if path.is_file() and not path.is_symlink():
                path.chmod(0o600)
        others = build(copy, tmp_path / "wheels")
    finally:
        os.umask(before)
    assert digests(others) == digests(wheels)


def test_wheels_hold_their_package_its_types_and_nothing_else(wheels):
    for name, path in wheels.items():
        package = name.replace("enclave_", "", 1)
        names = zipfile.ZipFile(path).namelist()
        assert f"{package}/py.typed" in names
        assert {one.split("/")[0].split("-")[0] for one in names} == {package, name}
        assert not [one for one in names if one.split("/")[-1].startswith("test_") and not one.endswith(".template")]
    with zipfile.ZipFile(wheels["enclave_connectors"]) as core:
        assert "connectors/cli/dev/skeleton/pyproject.toml.template" in core.namelist()
        assert any(name.endswith("licenses/LICENSE") for name in core.namelist())


def test_a_plugin_in_a_fresh_environment_is_found_by_its_entry_point(wheels, tmp_path):
    home = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, home], check=True, capture_output=True)
    install = [UV, "pip", "install", "--quiet", "--python", home, "--constraint", ROOT / "constraints.txt"]
    subprocess.run([*install, wheels["enclave_connectors"]], check=True, capture_output=True)

    def backends():
        done = subprocess.run(
            [home / "bin" / "connectors", "backends", "--json"], cwd=tmp_path, check=True, capture_output=True
        )
        return {one["name"]: (one["distribution"], one["problem"]) for one in json.loads(done.stdout)}

    core = dict.fromkeys(("file", "memory"), ("enclave-connectors", None))
    assert backends() == core
    subprocess.run([*install, wheels["enclave_connectors_https"]], check=True, capture_output=True)
    assert backends() == {**core, "https": ("enclave-connectors-https", None)}
