"""Every example in README.md and docs/ runs: Python blocks as one program for each page, console blocks in a shell.

Blocks that begin with ``# examples/…``, in the language ``py``, are excerpts of the file that this line names.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from patience import PATIENCE

import connectors

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

CSV = "START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n" + "".join(
    f"2020-0{month}-01,,p{month},e{month},{code},{name}\n"
    for month, code, name in (
        (1, 444814009, "Viral sinusitis (disorder)"),
        (2, 195662009, "Acute viral pharyngitis (disorder)"),
        (3, 444814009, "Viral sinusitis (disorder)"),
        (4, 10509002, "Acute bronchitis (disorder)"),
        (5, 444814009, "Viral sinusitis (disorder)"),
        (6, 162864005, "Body mass index 30+ - obesity (finding)"),
        (7, 72892002, "Normal pregnancy"),
    )
)


def connect(root: Path, port: str, name: str, location: str) -> None:
    folder = root / "app-config" / port / name / "dataset"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text(f"{location}\n")
    (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": os.urandom(32).hex()}}))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with conditions.csv, and an app config with that as input and one output."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "app-config"))
    monkeypatch.setenv("CONNECTORS_STORE", "store")  # these two: relative, as each of several people has a folder
    monkeypatch.setenv("CONNECTORS_IDENTITIES", "identities")
    monkeypatch.setenv("PATH", os.path.dirname(sys.executable), prepend=os.pathsep)
    Path("conditions.csv").write_text(CSV)
    for port, name in (("input", "conditions"), ("output", "summary")):
        connect(tmp_path, port, name, f"file://{tmp_path}/{name}.sealed")
    connectors.load()["input"]["conditions"].upload("conditions.csv")
    return tmp_path


@pytest.fixture
def folders(place):
    """The same with a folder on each port, of which that for input has a table in it."""
    for port, name in (("input", "wards"), ("output", "parts")):
        connect(place, port, name, f"file://{place}/{name}/")
    fs, wards = connectors.load()["input"]["wards"].filesystem()
    fs.put_file("conditions.csv", f"{wards}/north.csv")


def blocks(page: Path, language: str) -> list[str]:
    return [match["text"] for match in FENCE.finditer(page.read_text()) if match["language"] == language]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name)
def test_python_examples_run(page, folders):
    program = "\n".join(blocks(page, "python"))
    exec(compile(program, str(page), "exec"), {"__name__": "example"})


def excerpts(page: Path) -> list[str]:
    return [block for block in blocks(page, "py") if block.startswith("# examples/")]


@pytest.mark.parametrize("page", [page for page in PAGES if excerpts(page)], ids=lambda page: page.name)
def test_excerpts_are_what_the_files_that_they_name_hold(page):
    for block in excerpts(page):
        name, _, text = block.partition("\n")
        assert text.strip("\n") in (ROOT / name.removeprefix("# ")).read_text(), name


def test_the_modules_of_the_example_are_as_long_as_the_page_says():
    rows = re.findall(r"^\| `(\w+\.py)` \| (\d+) \|", (ROOT / "docs" / "backends.md").read_text(), re.MULTILINE)
    folder = ROOT / "examples" / "webdav" / "connectors_webdav"
    assert {name: int(lines) for name, lines in rows} == {
        path.name: len(path.read_text().splitlines()) for path in folder.glob("*.py")
    }


def run_console(block: str) -> None:
    """Run each command of a block in a shell, and hold what it prints against what the block shows."""
    for line, expected in re.findall(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        command = line.replace("\\\n> ", "")  # as a shell shows that a line goes on
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, (command, done.stderr)
        pattern = ".*".join(map(re.escape, expected.strip().split("…")))
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), (command, done.stdout)


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "console")], ids=lambda page: page.name)
def test_console_examples_run_and_print_what_they_show(page, place):
    for block in blocks(page, "console"):
        run_console(block)


def test_example_of_patient_conditions_runs(place, s3, monkeypatch):
    example = ROOT / "examples" / "patient-conditions"
    shutil.copy(example / "describe.py", "describe.py")
    shutil.rmtree("app-config")  # the page lays down its own
    for name, value in {
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_REGION": s3.region,
        "AWS_DEFAULT_REGION": s3.region,
        "AWS_ENDPOINT_URL": s3.endpoint,
        "INPUT_LOCATION": f"{s3.endpoint}/clinic/conditions.csv.sealed",
        "OUTPUT_LOCATION": f"{s3.endpoint}/clinic/result.sealed",
    }.items():
        monkeypatch.setenv(name, value)
    for block in blocks(example / "README.md", "console"):
        run_console(block)
        # What the page leaves to the tool that its reader knows.
        if "connectors encrypt" in block:
            s3.client().upload_file("conditions.csv.sealed", "clinic", "conditions.csv.sealed")
        if "connectors run" in block:
            s3.client().download_file("clinic", "result.sealed", "result.sealed")
    assert json.loads(Path("result.json").read_text())["returncode"] == 0


@pytest.mark.parametrize(
    "page",
    sorted({*PAGES, *ROOT.glob("*.md"), *ROOT.glob("examples/*/*.md"), *ROOT.glob("plugins/*/*.md")}),
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_links_inside_the_project_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_json_examples_are_json():
    for page in PAGES:
        for block in blocks(page, "json"):
            json.loads(block)
