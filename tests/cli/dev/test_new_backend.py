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
ROOT = Path(__file__).parents[3]


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


def test_its_tests_pass_as_its_readme_runs_them(begun):
    """With the pip of this Python, from no registry: what is installed here counts as installed there."""
    make, install, test = re.findall(r"^\$ (.*)$", (begun / "README.md").read_text(), re.MULTILINE)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV", "PIP", "PYTHON"))
    }
    environment = {**kept, "PATH": f"{BIN}:{kept['PATH']}", "PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0"}

    def run(command):
        done = subprocess.run(
            command, shell=True, cwd=begun, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    with (begun / "pyproject.toml").open("a") as file:  # hatchling would ask a registry for the package "editables"
        file.write('\n[tool.hatch.build]\ndev-mode-dirs = ["."]\n')
    run(make)
    (site,) = begun.glob(".venv/lib/python*/site-packages")
    (site / "here.pth").write_text("\n".join(path for path in sys.path if path))
    run(install)
    out = run(f"{test} -p no:cov")
    assert int(re.search(r"(\d+) passed", out)[1]) > 60
    assert "skipped" not in out


def test_it_is_ready_to_be_published(begun, tmp_path):
    assert (begun / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (begun / "LICENSE").is_symlink()
    steps = (begun / ".github" / "workflows" / "tests.yml").read_text()
    assert "${{ matrix.python }}" in steps
    for command in ("pip install -e '.[test]'", "python -m pytest"):
        assert command in steps
        assert command in (begun / "README.md").read_text()
    install(begun, tmp_path / "site")
    assert (tmp_path / "site" / "connectors_shelf" / "py.typed").exists()
    (info,) = (tmp_path / "site").glob("enclave_connectors_shelf-*.dist-info")
    assert "License-Expression: Apache-2.0" in (info / "METADATA").read_text()
    assert (info / "licenses" / "LICENSE").exists()


@pytest.mark.parametrize(
    ("right", "wrong", "caught"),
    [
        ("(Guarded, LocalFileSystem)", "(LocalFileSystem)", "test_secrets_are_shown_nowhere"),
        ("if not allowed", "if False", "test_refused_credentials_raise_access_denied"),
        (
            'os.path.join(credentials.root, path.rstrip("/"))',
            'f"{credentials.root}/one"',
            "test_special_characters_in_names",
        ),
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


@pytest.mark.parametrize(
    "name", ["s3", "https", "http", "abfs", "gs", "sftp", "s3a", "memory", "file", "dataset", "testing", "all"]
)
def test_names_that_are_taken_are_refused(name, tmp_path):
    assert "choose another name" in connectors("new-backend", name, cwd=tmp_path).error()
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(begun, tmp_path):
    (begun / "mine").write_text("x")
    assert "already exists and was not changed" in connectors("new-backend", "shelf", cwd=tmp_path).error()
    assert (begun / "mine").exists()
