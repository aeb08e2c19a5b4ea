"""``connectors demo --workflow``: three parties approve a workflow, and an enclave verifies it.

A clinic has a table, a lab has an application, and a registry receives the result. Each has its own folder, which
stands for its own machine; the files that they exchange are next to these folders.
"""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from connectors.cli.dev.demo_stage import APPLICATION

if TYPE_CHECKING:
    from connectors.cli.dev.demo_stage import Stage, Workspace

__all__ = ["play_workflow"]

NAME = "Patient conditions"
MEASUREMENT = sha256(APPLICATION.encode()).hexdigest()
PARTIES = {"clinic": "Clinic A", "lab": "Lab B", "registry": "Registry C"}


class _People(NamedTuple):
    clinic: Workspace
    lab: Workspace
    registry: Workspace


def play_workflow(stage: Stage) -> None:
    """Go from three parties to an application that all of them approve, and to its result."""
    people = _People(*(stage.workspace(name) for name in PARTIES))
    trusted = _meet(stage, people)
    _bring(stage, people)
    _connect(stage, people)
    _approve(stage, people)
    _run(stage, people, trusted)
    _open(stage, people.registry, people.clinic)


def _meet(stage: Stage, people: _People) -> dict[str, str]:
    """Let each party make an identity; return their digests."""
    stage.announce(
        "Each of three parties makes a signing key", "unencrypted for the demo; normally you enter a passphrase"
    )
    digests = {}
    for workspace, (name, party) in zip(people, PARTIES.items(), strict=True):
        options = ("--party-name", party, "--contact", f"data@{name}.example", "--unencrypted")
        digests[name] = workspace.run("identity", "new", name, *options).strip()
        workspace.quietly("identity", "export", "--out", f"../{name}.json")
    stage.announce("They exchange their identities and compare the digests")
    for workspace in people:
        workspace.run("identity", "trust", *(f"../{name}.json" for name in PARTIES), "--yes")
    return digests


def _bring(stage: Stage, people: _People) -> None:
    """Let the clinic define its dataset, and the lab its application."""
    clinic, lab, _ = people
    clinic.rent_bucket("clinic")
    rows = clinic.write_conditions("conditions.csv")
    clinic.own_object("conditions", "clinic", "conditions.csv.sealed")
    stage.announce("The clinic encrypts a table of conditions and uploads it", f"{rows:,} rows of invented patients")
    clinic.run("keygen", "key.hex")
    clinic.run("encrypt", "-K", "key.hex", "-in", "conditions.csv", "-out", "conditions.csv.sealed")
    clinic.run("cp", "conditions.csv.sealed", "dataset://bucket/conditions", "--app-config", "owner")

    stage.announce("… and defines a dataset: others see its location, and a commitment to its credentials")
    location = clinic.presign("GET", "clinic", "conditions.csv.sealed", "key.hex", "credentials.json")
    _define(clinic, "Conditions Data", location, "input", "--label", "Location=East US")
    clinic.run("workflow", "export", "Conditions Data", "--out", "../conditions.json")

    stage.announce("The lab defines its application by its measurement", "here: a simulated platform")
    lab.write("describe.py", APPLICATION)
    image = f"lab.example/describe@sha256:{MEASUREMENT}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"simulated={MEASUREMENT}", quiet=True)
    ports = ("--port", "input", "--port", "output", "--item", "describe.py=describe.py")
    lab.run("workflow", "app-config", "Describe conditions", "--application", "Describe", *ports, quiet=True)


def _connect(stage: Stage, people: _People) -> None:
    """Let the lab draft the workflow, and the registry fill its placeholder."""
    _, lab, registry = people
    stage.announce("… and drafts a workflow, with a placeholder for the registry's dataset")
    received = [f"../{name}.json" for name in ("clinic", "conditions", "lab", "registry")]
    lab.run("workflow", "import", *received, quiet=True)
    lab.run("workflow", "new", NAME)
    lab.run("workflow", "add", NAME, "conditions", "Conditions Data")
    lab.run("workflow", "add", NAME, "describe", "Describe conditions")
    lab.run("workflow", "place", NAME, "result", "--for", "Registry C")
    lab.run("workflow", "connect", NAME, "conditions", "describe:input")
    lab.run("workflow", "connect", NAME, "describe:output", "result")
    lab.run("workflow", "export", NAME, "--out", "../draft.json")

    stage.announce("The registry lists its tasks, and adds a dataset for the result, with its own key")
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
    """Let the lab submit the workflow, and each party approve it."""
    clinic, lab, registry = people
    stage.announce("The lab submits the workflow to all owners")
    lab.run("workflow", "import", "../draft.json", quiet=True)
    lab.run("workflow", "submit", NAME, "--yes", quiet=True)
    lab.run("workflow", "export", NAME, "--out", "../request.json")

    stage.announce("Each party sees which data reaches whom before they sign")
    for workspace in (clinic, registry):
        workspace.run("workflow", "import", "../request.json", quiet=True)
    clinic.run("workflow", "reach", NAME)
    for workspace in people:
        workspace.run("workflow", "approve", NAME, "--yes", quiet=True)

    stage.announce("They exchange their signatures: the workflow is approved, and nobody can change a byte of it")
    for workspace in (clinic, registry):
        workspace.run("workflow", "export", NAME, "--out", f"../{workspace.name}-said.json")
    lab.run("workflow", "import", "../clinic-said.json", "../registry-said.json", quiet=True)
    lab.run("workflow", "status", NAME)
    lab.run("workflow", "picture", NAME, "--out", "../approved.svg")
    lab.run("workflow", "export", NAME, "--out", "../approved.json")


def _run(stage: Stage, people: _People, trusted: dict[str, str]) -> None:
    """Let the enclave verify the workflow and run the application."""
    clinic, lab, registry = people
    identifier = lab.quietly("workflow", "identifiers", NAME).split()[0]
    enclave = stage.workspace("enclave")
    options = ["--identifier", identifier, "--measurement", MEASUREMENT, "--platform", "simulated"]
    for workspace in (clinic, registry):
        options += ["--credentials", _hand_over_credentials(workspace)]
    for digest in trusted.values():
        options += ["--trust", digest]

    stage.announce("The host tries to redirect the result to its own bucket", "the enclave verifies the signatures")
    with open(os.path.join(stage.folder, "approved.json")) as file:
        approved = file.read()
    with open(os.path.join(stage.folder, "edited.json"), "w") as file:
        file.write(approved.replace("/registry/result.sealed", "/host/result.sealed"))
    enclave.is_refused("workflow", "deploy", "../edited.json", "app-config", *options)

    stage.announce("From the signed request, the enclave writes its app config folder, and the application runs")
    enclave.run("workflow", "deploy", "../approved.json", "app-config", *options)
    enclave.run("run", "--app-config", "app-config", "--", "python", "app-config/describe.py")


def _hand_over_credentials(owner: Workspace) -> str:
    """Copy an owner's credentials for the enclave; return the path as the enclave sees it."""
    folder = owner.path(os.path.join("identities", owner.name, "credentials"))
    (name,) = os.listdir(folder)
    handed = f"../{owner.name}-credentials.json"
    shutil.copy(os.path.join(folder, name), owner.path(handed))
    return handed


def _open(stage: Stage, registry: Workspace, clinic: Workspace) -> None:
    stage.announce("The registry downloads and decrypts the result")
    registry.run("cp", "dataset://bucket/result", "result.sealed", "--app-config", "owner")
    registry.run("decrypt", "-K", "key.hex", "-in", "result.sealed", "-out", "result.json")
    printed = registry.run("result", "result.json", "--stdout", quiet=True)
    registry.show_answer(printed, [clinic.path("conditions.csv.sealed"), registry.path("result.sealed")])
