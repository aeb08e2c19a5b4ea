"""The command as a whole: its help, its exit codes, its version, and the completion of its words."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command_line import connectors, environment

import connectors as sdk
from connectors.cli import command, main
from connectors.cli.common import exit_codes
from connectors.cli.common.lazy import LazyGroup

VERBS = [
    ["keygen"],
    ["encrypt"],
    ["decrypt"],
    ["rekey"],
    ["presign"],
    ["ls"],
    ["cat"],
    ["cp"],
    ["backends"],
    ["schema"],
    ["dataset", "check"],
    ["dataset", "new"],
]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_every_verb_has_help_with_an_example_on_lines_of_its_own(verb, capsys):
    assert main([*verb, "--help"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"\n    connectors {' '.join(verb)}" in shown.out
    assert main([*verb, "-h"]) == 0
    assert capsys.readouterr().out == shown.out


def test_help_lists_every_verb_and_comes_without_arguments_too(capsys):
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    assert main([]) == 0
    assert capsys.readouterr().out == listed
    for verb in VERBS:
        assert re.search(rf"^  {verb[0]} ", listed, re.MULTILINE)


def test_exit_codes_in_the_help_and_the_docs_are_those_of_the_command(capsys):
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(len(line) <= 80 for line in shown.splitlines())
    table = shown.partition("Exit codes:\n")[2]
    told = {int(code): meaning for code, meaning in re.findall(r"^ +(\d+) +(.+)$", table, re.MULTILINE)}
    page = Path(__file__).parents[2].joinpath("docs", "running.md").read_text()
    rows = {int(code): meaning for code, meaning in re.findall(r"^\| (\d+) \| (.+) \|$", page, re.MULTILINE)}
    assert told == rows == dict(exit_codes.MEANINGS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (sdk.errors.MachineFailed("the disk is full"), 1),
        (OSError(28, "No space left on device"), 1),
        (RuntimeError(), 1),
        (sdk.errors.ConfigError("no such port"), 2),
        (sdk.errors.InvalidDocument("a rule is broken"), 2),
        (sdk.errors.Declined("too much"), 2),
        (sdk.errors.AccessDenied("not yours"), 2),
        (sdk.errors.WrongKey("another key"), 3),
        (KeyboardInterrupt(), 130),
        (exit_codes.OutputClosed(), 141),
    ],
    ids=lambda one: type(one).__name__,
)
def test_each_kind_of_error_has_its_exit_code(error, code):
    assert exit_codes.describe(error)[0] == code
    assert code in exit_codes.MEANINGS


def test_version_names_the_release(tmp_path):
    done = connectors("--version", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"connectors \d+\.\d+\.\d+\S*\n", done.text)


def test_help_loads_no_cloud_library_and_no_pandas(tmp_path):
    code = (
        "import sys; from connectors.cli import main; code = main(['encrypt', '--help'])\n"
        "heavy = {'pandas', 'numpy', 's3fs', 'botocore', 'aiobotocore', 'aiohttp', 'urllib3', 'moto', 'flask',\n"
        "         'fsspec'}\n"
        "sys.exit(code or ' '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_help_and_completion_import_no_verb():
    code = (
        "import sys; from connectors.cli import main; main(['--help']); main(['encrpt']); main(['--version'])\n"
        "folders = ('connectors.cli.data.', 'connectors.cli.workflow.', 'connectors.cli.dev.', 'cryptography')\n"
        "sys.exit(' '.join(name for name in sys.modules if name.startswith(folders)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        0,
        "connectors: error: no such command 'encrpt'. Did you mean 'encrypt', 'decrypt'? (see connectors --help)\n",
    )


def test_listed_verbs_and_their_texts_are_those_of_their_modules():
    groups = [typer.main.get_command(command.application())]
    for group in groups:
        assert isinstance(group, LazyGroup)
        added = []
        for module in group.modules:
            app = typer.Typer()
            importlib.import_module(module).register(app)
            added += typer.main.get_group(app).commands.values()
        assert list(group.commands) == [verb.name for verb in added]
        for verb in added:
            listed = group.commands[verb.name].help
            assert listed == re.split(r"(?<=\.) ", " ".join(verb.help.split("\n\n")[0].split()))[0]
        groups += [verb for verb in added if isinstance(verb, LazyGroup)]
    assert len(groups) == 3


def test_shell_completion_offers_the_verbs(tmp_path):
    done = connectors(cwd=tmp_path, _CONNECTORS_COMPLETE="complete_bash", COMP_WORDS="connectors enc", COMP_CWORD="1")
    assert (done.code, done.text.split()) == (0, ["encrypt"])


def test_shell_completion_offers_the_options_of_a_verb(tmp_path):
    words = {"COMP_WORDS": "connectors workflow approve --ye", "COMP_CWORD": "3"}
    done = connectors(cwd=tmp_path, _CONNECTORS_COMPLETE="complete_bash", **words)
    assert (done.code, done.text.split()) == (0, ["--yes"])
