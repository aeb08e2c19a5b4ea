"""The worked example of docs/backends.md is a distribution of its own: it is installed, and its tests pass.

Not where the other tests run: a backend that is installed changes what error messages and schemas list.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from patience import PATIENCE

EXAMPLE = Path(__file__).parents[2] / "examples" / "webdav"
UV = Path(sys.executable).parent / "uv"


def test_its_tests_pass_where_it_is_installed(tmp_path):
    site = tmp_path / "site"
    install = [UV, "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    install += ["--python", sys.executable, "--target", site, EXAMPLE]
    subprocess.run(install, check=True, capture_output=True)
    paths = [str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    for name in [name for name in environment if name.startswith(("PYTEST", "COV"))]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-p", "no:cov"]
    done = subprocess.run(
        command, cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 200
    assert "skipped" not in done.stdout
