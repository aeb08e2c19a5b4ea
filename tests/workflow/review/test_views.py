"""The verbs that show a workflow to those who approve it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import typer
from large_workflows import large, request_of
from parties import NOW, approved, bundle_of, decided, story
from typer.testing import CliRunner

from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.workflow import changes, review
from connectors.errors import ConfigError, InvalidDocument, NotApproved, ObjectExists
from connectors.workflow.documents.kinds import Connected, DatasetDocument, Workflow
from connectors.workflow.documents.requests import freeze, make_request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.transfer import receive

if TYPE_CHECKING:
    from connectors.workflow.trust.verification import Bundle


def run(*arguments, stdin: bytes = b"") -> str:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    review.register(app)
    done = CliRunner().invoke(app, [str(one) for one in arguments], input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def moved() -> Bundle:
    """The story, with its output at another place and a name with a trap in it."""
    told, workflow = story()
    result = told.documents[workflow.objects["result"].dataset]
    members = {name: getattr(result, name) for name in DatasetDocument.model_fields}
    other = DatasetDocument(**{**members, "location": "s3://elsewhere/x", "name": "Out\u200bput"})
    told.add(other)
    objects = {**workflow.objects, "result": Connected(dataset=other.digest)}
    version = Workflow(name=workflow.name, version=2, parent=workflow.digest, objects=objects, edges=workflow.edges)
    return bundle_of(make_request(version, told.documents, told.lab.party, created=NOW))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    (folder / "old").write_bytes(approved()[1].to_bytes())
    (folder / "new").write_bytes(moved().to_bytes() + b"\n")
    return folder


def test_diff_says_what_is_different(files):
    told = run("diff", files / "old", files / "new")
    lines = told.splitlines()
    assert lines[:2] == [
        "Data locations and protection",
        "  'result' ('Out\\u200bput'): location was 'https://registry.example/output.sealed', is 's3://elsewhere/x'",
    ]
    assert lines[2:4] == ["", "Descriptions"]
    assert "  the workflow: version was 1, is 2" in lines
    found = json.loads(run("diff", files / "old", files / "new", "--json"))
    assert {"path": ["version"], "before": 1, "after": 2} in found["changes"]
    assert run("diff", "-", files / "new", stdin=(files / "old").read_bytes()) == told


def test_diff_shows_as_much_as_anybody_reads(tmp_path, monkeypatch):
    request, people = request_of(8, parties=2)
    workflow, documents, _ = large(8, parties=2)
    apart = Workflow(name=workflow.name, objects=workflow.objects)
    other = freeze(apart, documents, people[0].party, created=NOW)
    for name, one in (("old", request), ("new", other)):
        (tmp_path / name).write_bytes(bundle_of(one).to_bytes())
    told = run("diff", tmp_path / "old", tmp_path / "new").splitlines()
    assert told[0] == "No longer reaches"
    monkeypatch.setattr(changes, "SHOWN", 10)
    few = run("diff", tmp_path / "old", tmp_path / "new").splitlines()
    assert run("diff", tmp_path / "old", tmp_path / "new", "--all").splitlines() == told
    assert few[:11] == told[:11]
    assert few[11].endswith("more; --all shows them")
    assert len(few) == 2 * 12 + 1


def test_diff_of_one_workflow(files, tmp_path):
    assert run("diff", files / "old", files / "old") == "The workflow is the same.\n"
    told, workflow = story()
    request = make_request(workflow, told.documents, told.clinic.party, created=NOW)
    (tmp_path / "again").write_bytes(bundle_of(request).to_bytes())
    assert run("diff", files / "old", tmp_path / "again") == "The workflow is the same; the request is new.\n"
    assert json.loads(run("diff", files / "old", files / "old", "--json"))["changes"] == []


def test_reach_is_a_table(files):
    lines = [line.split() for line in run("reach", files / "old").splitlines()]
    assert lines == [
        ["SOURCE", "OF", "REACHES", "OF", "THROUGH"],
        ["conditions", "'Clinic", "A'", "describe", "'Lab", "B'", "-"],
        ["conditions", "'Clinic", "A'", "result", "'Registry", "C'", "'describe'"],
    ]
    (first, second) = json.loads(run("reach", files / "old", "--json"))
    assert first["through"] == []
    assert (second["source"]["id"], second["target"]["kind"], second["through"]) == (
        "conditions",
        "dataset",
        ["describe"],
    )
    assert [one["name"] for one in second["target"]["owners"]] == ["Registry C"]


def test_picture_is_written_once(files, tmp_path):
    drawn = run("picture", files / "old")
    ET.fromstring(drawn)
    assert drawn.count("\u2713") == 3
    assert run("picture", files / "old", "--out", tmp_path / "x.svg") == ""
    assert (tmp_path / "x.svg").read_text() == drawn
    with pytest.raises(ObjectExists, match="--force replaces it"):
        run("picture", files / "old", "--out", tmp_path / "x.svg")
    run("picture", files / "new", "--out", tmp_path / "x.svg", "--force")
    assert (tmp_path / "x.svg").read_text().count("\u25cb") == 3
    assert json.loads(run("picture", files / "old", "--json"))["svg"] == drawn
    assert json.loads(run("picture", files / "old", "--out", tmp_path / "y.svg", "--json")) == {
        "file": str(tmp_path / "y.svg")
    }


def test_what_cannot_be_read_is_named(files, tmp_path):
    (tmp_path / "odd").write_bytes(b"{}")
    for words, error, message in (
        (("reach", tmp_path / "none"), ConfigError, "there is no file '.*none'"),
        (("reach", tmp_path), ConfigError, "the file '.*' is a folder"),
        (("reach", tmp_path / "odd"), InvalidDocument, "odd': this is not a bundle"),
        (("diff", "-", "-"), UsageMistake, "only one"),
        (("picture", files / "old", "--force"), UsageMistake, "--force needs --out FILE"),
    ):
        with pytest.raises(error, match=message):
            run(*words)


def test_request_in_the_store_is_found_by_its_name(files, tmp_path, monkeypatch):
    monkeypatch.delenv("CONNECTORS_STORE", raising=False)
    monkeypatch.chdir(tmp_path)
    store = FolderStore(str(tmp_path / "store"))
    receive(store, (files / "old").read_bytes())
    digest = approved()[1].request.digest
    for what in ("Patient conditions", digest[:8]):
        assert run("reach", what, "--store", "store") == run("reach", files / "old")
        assert run("picture", what, "--store", "store") == run("picture", files / "old")
    assert run("diff", digest[:8], files / "new", "--store", "store") == run("diff", files / "old", files / "new")
    with pytest.raises(ConfigError, match="the store has no request 'Other'"):
        run("reach", "Other", "--store", "store")
    # A file comes before what is called the same.
    (tmp_path / "Patient conditions").write_bytes((files / "new").read_bytes())
    assert run("diff", "Patient conditions", files / "new", "--store", "store") == "The workflow is the same.\n"


def test_a_forged_approval_is_not_drawn(tmp_path):
    told, bundle, _ = approved()
    forged = decided(bundle.request, told.receiver, signer=told.lab.signer)
    (tmp_path / "forged").write_bytes(bundle_of(bundle.request, forged).to_bytes())
    with pytest.raises(NotApproved, match="by 'Registry C' has no valid signature"):
        run("picture", tmp_path / "forged")
