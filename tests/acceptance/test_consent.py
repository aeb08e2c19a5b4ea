"""The main job where nobody trusts anybody: a clinic, a lab and a registry, and an enclave that asks what they signed.

On real data and a real object store, through the command alone: three people with a folder each, who exchange files.
Every way in which the consent of one of them can be missing stops it, and the message says who and what.
"""

from __future__ import annotations

import base64
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from command_line import connectors
from patience import until
from patients import ANSWER, get, put, table
from workspaces import Workspace

if TYPE_CHECKING:
    from servers import S3Server

DESCRIBE = Path(__file__).parents[2] / "examples" / "patient-conditions" / "describe.py"
NAME = "Patient conditions"
PEOPLE = {"clinic": "Clinic A", "lab": "Lab B", "registry": "Registry C"}
MEASUREMENT = "ab" * 32
PASSPHRASE = ("--passphrase-file", "passphrase")


@dataclass
class Story:
    """What the three people do, each step in the words of the command."""

    folder: Path
    s3: S3Server

    def __post_init__(self) -> None:
        for name in PEOPLE:
            (self.folder / name).mkdir()
        self.clinic, self.lab, self.registry = (Workspace(self.folder / name) for name in PEOPLE)
        self.people = (self.clinic, self.lab, self.registry)

    def meet(self) -> list[str]:
        digests = []
        for workspace, (name, party) in zip(self.people, PEOPLE.items(), strict=True):
            (workspace.folder / "passphrase").write_text(f"correct horse of {name}\n")
            options = ("--party-name", party, "--contact", f"{name}@x.example", *PASSPHRASE)
            digests.append(workspace.json("identity", "new", name, *options)["digest"])
            workspace.run("identity", "export", "--out", f"../{name}.json")
        for workspace in self.people:
            workspace.run("identity", "trust", *(f"../{name}.json" for name in PEOPLE), "--yes")
        return digests

    def define(self, workspace: Workspace, name: str, method: str, path: str, direction: str) -> None:
        """Presign a URL, and define a dataset there, whose credentials are written down as a person does it by hand."""
        location, _, query = self.s3.presign(method, "clinic", path).partition("?")
        workspace.run("keygen", "key.hex")
        credentials = {
            "query_string": base64.b64encode(query.encode()).decode(),
            "encryption": {"key": (workspace.folder / "key.hex").read_text()},
        }
        (workspace.folder / "credentials.json").write_text(json.dumps(credentials))
        where = ("--location", location, "--direction", direction, "--credentials", "credentials.json")
        workspace.run("workflow", "dataset", name, *where)

    def draft(self) -> None:
        self.clinic.run("workflow", "export", "Conditions Data", "--out", "../conditions.json")
        (self.lab.folder / "describe.py").write_bytes(DESCRIBE.read_bytes())
        image = f"lab.example/describe@sha256:{'cd' * 32}"
        self.lab.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
        ports = ("--port", "input", "--port", "output", "--item", "describe.py=describe.py")
        self.lab.run("workflow", "app-config", "Describe conditions", "--application", "Describe", *ports)
        self.lab.run("workflow", "import", *(f"../{name}.json" for name in (*PEOPLE, "conditions")))
        self.lab.run("workflow", "new", NAME)
        self.lab.run("workflow", "add", NAME, "conditions", "Conditions Data")
        self.lab.run("workflow", "add", NAME, "describe", "Describe conditions")
        self.lab.run("workflow", "place", NAME, "result", "--for", "Registry C")
        self.lab.run("workflow", "connect", NAME, "conditions", "describe:input")
        self.lab.run("workflow", "connect", NAME, "describe:output", "result")
        self.lab.run("workflow", "export", NAME, "--out", "../draft.json")

    def fill(self) -> None:
        self.registry.run("workflow", "import", "../draft.json")
        self.registry.run("workflow", "add", NAME, "result", "Conditions processing output")
        self.registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
        self.lab.run("workflow", "import", "../draft.json")

    def ask(self, *options: object) -> str:
        """Submit the draft; return the digest of the request, which all have now."""
        seen = self.lab.json("workflow", "show", NAME, "--draft")["workflow"]
        words = ("workflow", "submit", NAME, "--workflow", seen, *PASSPHRASE, "--yes", *options)
        digest = self.lab.json(*words)["request"]
        self.lab.run("workflow", "export", digest, "--out", "../request.json", "--force")
        for workspace in (self.clinic, self.registry):
            workspace.run("workflow", "import", "../request.json")
        return digest

    def ask_anew(self, request: str, *options: object) -> str:
        self.lab.run("workflow", "clone", request, NAME)
        return self.ask(*options)

    def exchange(self, request: str) -> None:
        """Let everybody know what everybody has said."""
        for workspace in self.people:
            workspace.run("workflow", "export", request, "--out", "../said.json", "--force")
            for other in self.people:
                other.run("workflow", "import", "../said.json")

    def bundle(self, request: str, name: str) -> Path:
        self.lab.run("workflow", "export", request, "--out", f"../{name}", "--force")
        return self.folder / name


def test_patient_data_becomes_a_sealed_result_when_all_three_approve(s3, shared_data, tmp_path):
    story = Story(tmp_path, s3)
    trusted = story.meet()
    bring(story, shared_data / "synthea" / "conditions.csv")
    declined = nobody_gets_further_without_all(story)
    approved = story.ask_anew(declined)
    identifier = all_approve(story, approved)

    (tmp_path / "enclave").mkdir()
    enclave = Workspace(tmp_path / "enclave")
    options = ["--identifier", identifier]
    options += [word for digest in trusted for word in ("--trust", digest)]
    for workspace, name in ((story.clinic, "clinic"), (story.registry, "registry")):
        (kept,) = (workspace.folder / "identities" / name / "credentials").glob("*.json")
        options += ["--credentials", str(kept)]
    bundle = story.bundle(approved, "approved.json")
    enclave_takes_nothing_else(enclave, bundle, story.bundle(declined, "declined.json"), options)
    deployed = ("workflow", "deploy", bundle, "rw", *options, "--measurement", MEASUREMENT, "--platform", "sgx")
    assert enclave.json(*deployed)["ports"] == {"input": ["conditions"], "output": ["result"]}

    # The application runs, and its answer is the registry's alone.
    done = connectors("run", "--app-config", "rw", "--", sys.executable, "rw/describe.py", cwd=enclave.folder)
    assert done.code == 0, done.err
    assert table(done.text) == ANSWER
    sealed = get(s3.presign("GET", "clinic", "consent/result.sealed"))
    assert b"sinusitis" not in sealed
    (story.registry.folder / "result.sealed").write_bytes(sealed)
    story.registry.run("decrypt", "-K", "key.hex", "-in", "result.sealed", "-out", "result.json")
    shown = connectors("result", "result.json", "--stdout", cwd=story.registry.folder)
    assert table(shown.text) == ANSWER

    # Whoever takes it back stops what starts after that.
    reason = ("--reason", "patients have withdrawn")
    story.clinic.run("workflow", "revoke", approved, *reason, *PASSPHRASE, "--yes")
    story.exchange(approved)
    bundle = story.bundle(approved, "revoked.json")
    message = enclave.mistake(
        "workflow", "deploy", bundle, "again", *options, "--measurement", MEASUREMENT, "--platform", "sgx"
    )
    assert message == "the request was revoked by 'Clinic A': 'patients have withdrawn'"
    assert not (enclave.folder / "again").exists()


def bring(story: Story, csv: Path) -> None:
    """Bring what is everybody's own: sealed data, a place for the answer, a program that connects them."""
    clinic = story.clinic
    story.define(clinic, "Conditions Data", "GET", "consent/conditions.sealed", "input")
    clinic.run("encrypt", "-K", "key.hex", "-in", csv, "-out", "conditions.sealed")
    url = story.s3.presign("PUT", "clinic", "consent/conditions.sealed")
    put(url, (clinic.folder / "conditions.sealed").read_bytes())
    story.define(story.registry, "Conditions processing output", "PUT", "consent/result.sealed", "output")
    story.draft()


def nobody_gets_further_without_all(story: Story) -> str:
    """Try it with a place not filled, too late, and declined; return the digest of the request that was declined."""
    clinic, lab, registry = story.people
    message = lab.mistake("workflow", "submit", NAME)
    assert message.endswith("'result', a dataset from 'Registry C'")
    story.fill()

    first = story.ask("--expires-in", 1)
    expires = clinic.json("workflow", "status", first)["expires"]
    until(lambda: clinic.json("workflow", "status", first)["state"] != "pending", "the request expires")
    message = clinic.mistake("workflow", "approve", first, *PASSPHRASE, "--yes")
    assert f"expired on {expires} before 'Clinic A', 'Lab B', 'Registry C' approved it" in message

    second = story.ask_anew(first)
    clinic.run("workflow", "approve", second, *PASSPHRASE, "--yes")
    registry.run("workflow", "decline", second, "--reason", "name the purpose", *PASSPHRASE, "--yes")
    story.exchange(second)
    for workspace in story.people:
        message = workspace.mistake("workflow", "identifiers", second)
        assert message == "the request was declined by 'Registry C': 'name the purpose'"
    return second


def all_approve(story: Story, request: str) -> str:
    """Let all of them approve, and return the identifier that all of them see."""
    for workspace in story.people:
        assert "reaches 'describe' (the application " in workspace.run(
            "workflow", "approve", request, *PASSPHRASE, "--yes"
        )
    message = story.lab.mistake("workflow", "identifiers", request)
    assert "'Clinic A', 'Registry C' have not decided" in message
    story.exchange(request)
    (identifier,) = {workspace.json("workflow", "identifiers", request)["describe"] for workspace in story.people}
    return identifier


def enclave_takes_nothing_else(enclave: Workspace, approved: Path, declined: Path, options: list[str]) -> None:
    """Give the enclave an edited bundle, another program, and a request that was declined."""
    edited = approved.with_name("edited.json")
    edited.write_bytes(approved.read_bytes().replace(b"consent/result.sealed", b"consent/theirs.sealed"))
    for bundle, measurement, *expected in (
        (edited, MEASUREMENT, "documents: the document named", "has another digest"),
        (approved, "ba" * 32, "has the measurement babababababa…, but abababababab… was approved for 'describe'"),
        (declined, MEASUREMENT, "the request was declined by 'Registry C': 'name the purpose'"),
    ):
        message = enclave.mistake(
            "workflow", "deploy", bundle, "rw", *options, "--measurement", measurement, "--platform", "sgx"
        )
        assert all(part in message for part in expected), message
        assert not (enclave.folder / "rw").exists()
