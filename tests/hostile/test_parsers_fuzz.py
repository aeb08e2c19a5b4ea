"""The fuzzer's kept inputs, and a short round of fuzzing; ``make fuzz`` runs long rounds."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

from connectors import errors
from fuzz.checks import ACCEPTED, Broken, attempt, hold, is_hidden_value
from fuzz.targets import NAMES

ROOT = Path(__file__).parents[2]
CORPUS = ROOT / "fuzz" / "corpus"
RUNS = {
    "formats": 4_000,
    "credentials": 3_000,
    "locations": 40_000,
    "documents": 1_500,
    "responses": 800,
    "clouds": 400,
    "workflow": 5_000,
}
"""The number of inputs in the short round of each target, kept ones included; each takes a few seconds."""
OTHERS = {ACCEPTED, "a problem", "s3", "azure", "gcs", "plain"}
OUTCOME = "a result that keeps the parser's promises, or one of our errors"

pytestmark = [
    pytest.mark.filterwarnings("ignore::dateutil.parser.UnknownTimezoneWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def collect_dropped_connections():
    """Collect the connections that a client has dropped here, and not in the next test."""
    yield
    gc.collect()


@pytest.mark.parametrize("target", NAMES)
def test_kept_inputs(target, tally):
    check = importlib.import_module(f"fuzz.targets.{target}").check
    with tally("the kept inputs of the fuzzer", f"the target {target}", outcome=OUTCOME) as cases:
        for path in sorted((CORPUS / target).iterdir()):
            outcome = check(path.read_bytes())
            assert outcome in OTHERS or issubclass(getattr(errors, outcome), errors.ConnectorError), path.name
            cases.count("held")


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed; it has no wheel here"
)
@pytest.mark.parametrize("target", NAMES)
def test_short_round_of_fuzzing(target, tally):
    with tally("a short round of fuzzing", f"the target {target}", outcome=OUTCOME) as cases:
        done = subprocess.run(
            [sys.executable, "-m", "fuzz", target, "--runs", str(RUNS[target]), "--seed", "7"],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith("COV_CORE")},
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr[-4000:]
        (runs,) = re.findall(r"^stat::number_of_executed_units: (\d+)$", done.stderr + done.stdout, re.MULTILINE)
        assert int(runs) >= RUNS[target]
        cases.count("held", RUNS[target])


def test_errors_that_are_not_ours_are_found():
    with pytest.raises(KeyError):
        attempt({}.popitem)
    with pytest.raises(Broken):
        hold(promise=False, otherwise="broken")


@pytest.mark.parametrize("secret", [True, False])
def test_secret_in_an_error_is_found(secret):
    def refuse() -> None:
        try:
            raise ValueError("hunter2" if secret else "nothing")
        except ValueError as error:
            raise errors.ConfigError("refused") from error

    if secret:
        with pytest.raises(Broken):
            attempt(refuse, hidden=True)
    assert attempt(refuse, hidden=not secret) == "ConfigError"


def test_hidden_values_of_a_document():
    assert is_hidden_value({"key": ["hunter2"]})
    assert not is_hidden_value({"hunter2": 1, "key": "hunter2"})
    assert not is_hidden_value({"type": "hunter2"})
