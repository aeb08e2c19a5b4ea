"""``connectors demo --workflow``: three people who do not know each other's secrets, and an enclave that asks them all.

A clinic has a table, a lab an application, a registry wants the answer. Each has a folder, as if on a machine of their
own; what they give each other are files, which lie between the folders.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from connectors.cli.dev.demo_stage import APPLICATION

if TYPE_CHECKING:
    from connectors.cli.dev.demo_stage import Stage, Workspace

__all__ = ["tell_workflow"]

NAME = "Patient conditions"
MEASUREMENT = sha256(APPLICATION.encode()).hexdigest()
PARTIES = {"clinic": "Clinic A", "lab": "Lab B", "registry": "Registry C"}


class _People(NamedTuple):
    clinic: Workspace
    lab: Workspace
    registry: Workspace


def tell_workflow(stage: Stage) -> None:
    """Tell how three parties come to an application that all of them approve, and what it then answers."""
    people = _People(*(stage.workspace(name) for name in PARTIES))
    trusted = _meet(stage, people)
    _bring(stage, people)
    _connect(stage, people)
    _approve(stage, people)
    _run(stage, people, trusted)
    _open(stage, people.registry, people.clinic)


def _meet(stage: Stage, people: _People) -> dict[str, str]:
    """Let everybody make an identity; return their digests."""
    stage.say(
        "Three people make a key each to sign with", "unencrypted, as this is a demo; else a passphrase is asked for"
    )
    digests = {}
    for workspace, (name, party) in zip(people, PARTIES.items(), strict=True):
        options = ("--party-name", party, "--contact", f"data@{name}.example", "--unencrypted")
        digests[name] = workspace.run("identity", "new", name, *options).strip()
        workspace.quietly("identity", "export", "--out", f"../{name}.json")
    stage.say("They tell each other who they are, and compare the digests")
    for workspace in people:
        workspace.run("identity", "trust", *(f"../{name}.json" for name in PARTIES), "--yes")
    return digests


def _bring(stage: Stage, people: _People) -> None:
    """Let the clinic and the lab define what they bring."""
    clinic, lab, _ = people
    clinic.rent_bucket("clinic")
    rows = clinic.write_conditions("conditions.csv")
    clinic.own_object("conditions", "clinic", "conditions.csv.sealed")
    stage.say("The clinic seals a table of conditions, and uploads it", f"{rows:,} rows, of patients that do not exist")
    clinic.run("keygen", "key.hex")
    clinic.run("encrypt", "-K", "key.hex", "-in", "conditions.csv", "-out", "conditions.csv.sealed")
    clinic.run("cp", "conditions.csv.sealed", "dataset://bucket/conditions", "--app-config", "owner")

    stage.say("… and defines a dataset: others see where it is, and only a commitment to the credentials")
    location = clinic.presign("GET", "clinic", "conditions.csv.sealed", "key.hex", "credentials.json")
    _define(clinic, "Conditions Data", location, "input", "--label", "Location=East US")
    clinic.run("workflow", "export", "Conditions Data", "--out", "../conditions.json")

    stage.say("The lab defines its application, by what a platform measures it as", "here: a simulated platform")
    lab.write("describe.py", APPLICATION)
    image = f"lab.example/describe@sha256:{MEASUREMENT}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"simulated={MEASUREMENT}", quiet=True)
    ports = ("--port", "input", "--port", "output", "--item", "describe.py=describe.py")
    lab.run("workflow", "app-config", "Describe conditions", "--application", "Describe", *ports, quiet=True)


def _connect(stage: Stage, people: _People) -> None:
    """Let the lab draft the workflow, and the registry fill its place in it."""
    _, lab, registry = people
    stage.say("… and drafts a workflow, with a place for what the registry is still to give")
    received = [f"../{name}.json" for name in ("clinic", "conditions", "lab", "registry")]
    lab.run("workflow", "import", *received, quiet=True)
    lab.run("workflow", "new", NAME)
    lab.run("workflow", "add", NAME, "conditions", "Conditions Data")
    lab.run("workflow", "add", NAME, "describe", "Describe conditions")
    lab.run("workflow", "place", NAME, "result", "--for", "Registry C")
    lab.run("workflow", "connect", NAME, "conditions", "describe:input")
    lab.run("workflow", "connect", NAME, "describe:output", "result")
    lab.run("workflow", "export", NAME, "--out", "../draft.json")

    stage.say("The registry sees what it is asked for, and gives a place for the result, with a key of its own")
    registry.rent_bucket("registry")
    registry.own_object("result", "registry", "result.sealed")
    registry.run("workflow", "import", "../draft.json", quiet=True)
    registry.run("workflow", "tasks")
    registry.run("keygen", "key.hex")
    location = registry.presign("PUT", "registry", "result.sealed", "key.hex", "credentials.json")
    _define(registry, "Conditions processing output", location, "output")
    registry.run("workflow", "add", NAME, "result", "Conditions processing output")
    registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")


def _define(workspace: Workspace, name: str, location: str, direction: str, *options: str) -> None:
    where = ("--location", location, "--direction", direction, "--credentials", "credentials.json")
    workspace.run("workflow", "dataset", name, *where, *options, quiet=True)


def _approve(stage: Stage, people: _People) -> None:
    """Let the lab ask, and everybody approve."""
    clinic, lab, registry = people
    stage.say("The lab asks everybody who owns something in it")
    lab.run("workflow", "import", "../draft.json", quiet=True)
    lab.run("workflow", "submit", NAME, "--yes", quiet=True)
    lab.run("workflow", "export", NAME, "--out", "../request.json")

    stage.say("Everybody is shown what reaches whom, before they sign")
    for workspace in (clinic, registry):
        workspace.run("workflow", "import", "../request.json", quiet=True)
    clinic.run("workflow", "reach", NAME)
    for workspace in people:
        workspace.run("workflow", "approve", NAME, "--yes", quiet=True)

    stage.say("They give each other what they have signed: now it is approved, and nobody can change a byte of it")
    for workspace in (clinic, registry):
        workspace.run("workflow", "export", NAME, "--out", f"../{workspace.name}-said.json")
    lab.run("workflow", "import", "../clinic-said.json", "../registry-said.json", quiet=True)
    lab.run("workflow", "status", NAME)
    lab.run("workflow", "picture", NAME, "--out", "../approved.svg")
    lab.run("workflow", "export", NAME, "--out", "../approved.json")


def _run(stage: Stage, people: _People, trusted: dict[str, str]) -> None:
    """Let the enclave verify it all, and the application run."""
    clinic, lab, registry = people
    identifier = lab.quietly("workflow", "identifiers", NAME).split()[0]
    enclave = stage.workspace("enclave")
    options = ["--identifier", identifier, "--measurement", MEASUREMENT]
    for workspace in (clinic, registry):
        options += ["--credentials", _hand_over_credentials(workspace)]
    for digest in trusted.values():
        options += ["--trust", digest]

    stage.say("The host would rather have the result in a bucket of its own", "the enclave verifies what it is given")
    with open(os.path.join(stage.folder, "approved.json")) as file:
        approved = file.read()
    with open(os.path.join(stage.folder, "edited.json"), "w") as file:
        file.write(approved.replace("/registry/result.sealed", "/host/result.sealed"))
    enclave.is_refused("workflow", "deploy", "../edited.json", "app-config", *options)

    stage.say("With what was signed, the enclave lays down its app config folder, and the application runs")
    enclave.run("workflow", "deploy", "../approved.json", "app-config", *options)
    enclave.run("run", "--app-config", "app-config", "--", "python", "app-config/describe.py")


def _hand_over_credentials(owner: Workspace) -> str:
    """Give the enclave the credentials that an owner keeps beside their key; return the file's name as it sees it."""
    folder = owner.path(os.path.join("identities", owner.name, "credentials"))
    (name,) = os.listdir(folder)
    handed = f"../{owner.name}-credentials.json"
    shutil.copy(os.path.join(folder, name), owner.path(handed))
    return handed


def _open(stage: Stage, registry: Workspace, clinic: Workspace) -> None:
    stage.say("The registry downloads the result, opens it and looks")
    registry.run("cp", "dataset://bucket/result", "result.sealed", "--app-config", "owner")
    registry.run("decrypt", "-K", "key.hex", "-in", "result.sealed", "-out", "result.json")
    printed = registry.run("result", "result.json", "--stdout", quiet=True)
    registry.show_answer(printed, [clinic.path("conditions.csv.sealed"), registry.path("result.sealed")])
