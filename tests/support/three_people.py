"""Three people, each with a folder of their own, who agree on a workflow by files between them."""

from __future__ import annotations

import json

from command_line import KEY
from workspaces import Workspace

__all__ = ["MEASUREMENT", "NAME", "PEOPLE", "STAGES", "ask", "exchange", "files"]

NAME = "Patient conditions"
MEASUREMENT = "ab" * 32
PEOPLE = {"clinic": "Clinic A", "lab": "Lab B", "registry": "Registry C"}


def meet(clinic: Workspace, lab: Workspace, registry: Workspace) -> None:
    """Three people make identities, exchange their parties, and trust one another."""
    for workspace, (name, party) in zip((clinic, lab, registry), PEOPLE.items(), strict=True):
        workspace.folder.mkdir(parents=True)
        workspace.run("identity", "new", name, "--party-name", party, "--contact", f"{name}@x.example", "--unencrypted")
        workspace.run("identity", "export", "--out", f"../{name}.json")
        document = {"query_string": "c2lnPTEyMw==", "encryption": {"key": KEY}}
        (workspace.folder / "credentials.json").write_text(json.dumps(document))
    for workspace in (clinic, lab, registry):
        workspace.run("identity", "trust", *(f"../{name}.json" for name in PEOPLE), "--yes")
        workspace.run("workflow", "import", *(f"../{name}.json" for name in PEOPLE))


def draft(clinic: Workspace, lab: Workspace, registry: Workspace) -> None:
    """They put a workflow together, with a place for what the registry is still to give."""
    clinic.run(
        *("workflow", "dataset", "Conditions Data", "--location", "https://clinic.example/conditions.sealed"),
        *("--direction", "input", "--credentials", "credentials.json", "--label", "Location=East US"),
    )
    clinic.run("workflow", "export", "Conditions Data", "--out", "../conditions.json")
    lab.run("workflow", "import", "../conditions.json")
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    (lab.folder / "settings.ini").write_text("[describe]\n")
    lab.run(
        *("workflow", "app-config", "Describe conditions", "--application", "Describe"),
        *("--port", "output", "--port", "input", "--item", "settings.ini=settings.ini"),
    )
    lab.run("workflow", "new", NAME)
    lab.run("workflow", "add", NAME, "conditions", "Conditions Data")
    lab.run("workflow", "add", NAME, "describe", "Describe conditions")
    lab.run("workflow", "place", NAME, "result", "--for", "Registry C", "--purpose", "the most common conditions")
    lab.run("workflow", "connect", NAME, "conditions", "describe:input")
    lab.run("workflow", "connect", NAME, "describe:output", "result")
    lab.run("workflow", "export", NAME, "--out", "../draft.json")
    registry.run("workflow", "import", "../draft.json")


def fill(_: Workspace, lab: Workspace, registry: Workspace) -> None:
    """The registry fills the place that was kept for it."""
    registry.run(
        *("workflow", "dataset", "Conditions processing output", "--location", "https://registry.example/out.sealed"),
        *("--direction", "output", "--credentials", "credentials.json"),
    )
    registry.run("workflow", "add", NAME, "result", "Conditions processing output")
    registry.run("workflow", "export", NAME, "--out", "../draft.json", "--force")
    lab.run("workflow", "import", "../draft.json")


def ask(clinic: Workspace, lab: Workspace, registry: Workspace, *options: object) -> None:
    """The lab asks all of them, who get the request."""
    lab.run("workflow", "submit", NAME, "--yes", *options)
    lab.run("workflow", "export", NAME, "--out", "../request.json", "--force")
    for workspace in (clinic, lab, registry):
        workspace.run("workflow", "import", "../request.json")


def approve(*workspaces: Workspace) -> None:
    """All approve it, and learn of one another's approvals."""
    for workspace in workspaces:
        workspace.run("workflow", "approve", NAME, "--yes")
    exchange(*workspaces)


def exchange(*workspaces: Workspace) -> None:
    """Everybody gets what everybody has said."""
    for workspace in workspaces:
        workspace.run("workflow", "export", NAME, "--out", f"../{workspace.folder.name}-said.json", "--force")
    for workspace in workspaces:
        workspace.run("workflow", "import", *(f"../{name}-said.json" for name in PEOPLE))
    workspaces[0].run("workflow", "export", NAME, "--out", "../all-said.json", "--force")


def files(workspace: Workspace) -> dict[str, bytes]:
    """All that is in a person's store."""
    store = workspace.folder / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in store.rglob("*") if path.is_file()}


STAGES = {"people": meet, "drafted": draft, "filled": fill, "asked": ask, "approved": approve}
