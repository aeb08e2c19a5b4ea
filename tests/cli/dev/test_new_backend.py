"""A plugin that `connectors new-backend` begins: it is installed, and keeps the contract, and the contract has teeth."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import connectors

BIN = Path(sys.executable).parent


def install(folder: Path, site: Path) -> None:
    """Build the plugin with what is installed here, and put it where only these tests look."""
    command = [BIN / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    command += ["--python", sys.executable, "--target", site, folder]
    subprocess.run(command, check=True, capture_output=True)


def run_tests(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for name in [name for name in environment if name.startswith(("PYTEST", "COV"))]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:cov"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def begun(tmp_path):
    done = connectors("new-backend", "shelf", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    return tmp_path / "enclave-connectors-shelf"


def test_its_tests_pass_as_they_are(begun, tmp_path):
    install(begun, tmp_path / "site")
    done = run_tests(begun, tmp_path / "site")
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 60
    assert "skipped" not in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "caught"),
    [
        ("(Guarded, LocalFileSystem)", "(LocalFileSystem)", "test_secrets_are_shown_nowhere"),
        ("if not allowed", "if False", "test_refused_credentials_are_an_error_of_access"),
        ('os.path.join(credentials.root, path.rstrip("/"))', 'f"{credentials.root}/one"', "test_names_mean_themselves"),
        (
            "FileSystem(auto_mkdir=True)",
            "FileSystem(token=credentials.token.reveal(), auto_mkdir=True)",
            None,
        ),
    ],
)
def test_what_breaks_the_contract_is_found(begun, tmp_path, right, wrong, caught):
    module = begun / "connectors_shelf" / "__init__.py"
    text = module.read_text()
    assert right in text
    text = text.replace(right, wrong)
    if caught == "test_secrets_are_shown_nowhere":
        text = text.replace(
            "FileSystem(auto_mkdir=True)", "FileSystem(token=credentials.token.reveal(), auto_mkdir=True)"
        )
    module.write_text(text)
    install(begun, tmp_path / "site")
    done = run_tests(begun, tmp_path / "site")
    if caught is None:  # a filesystem that is guarded keeps what it is given to itself
        assert done.returncode == 0, done.stdout
    else:
        assert caught in re.findall(r"FAILED .*::(\w+)", done.stdout), done.stdout


@pytest.mark.parametrize("name", ["Shelf", "my-shelf", "../shelf", "", "1shelf"])
def test_names_that_no_module_can_have_are_refused(name, tmp_path):
    assert "lower-case letters and digits" in connectors("new-backend", name, cwd=tmp_path).error()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(begun, tmp_path):
    (begun / "mine").write_text("x")
    assert "already exists and was not changed" in connectors("new-backend", "shelf", cwd=tmp_path).error()
    assert (begun / "mine").exists()
