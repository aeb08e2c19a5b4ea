"""Signing: passphrases, from a file or at a terminal, and what has to be confirmed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from pathlib import Path

from command_line import COMMAND, environment
from patience import PATIENCE
from three_people import MEASUREMENT, NAME, files
from workspaces import PATHS, Workspace


def test_signing_takes_the_passphrase_from_a_file(tmp_path):
    workspace = Workspace(tmp_path / "other")
    workspace.folder.mkdir()
    (workspace.folder / "passphrase").write_text("correct horse 5EC2E7\n")
    (workspace.folder / "wrong").write_text("wrong 5EC2E7\n")
    workspace.run("identity", "new", "me", "--contact", "m", "--passphrase-file", "passphrase")
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    workspace.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    workspace.run("workflow", "app-config", "d", "--application", "Describe", "--port", "input")
    workspace.run("workflow", "new", "w")
    workspace.run("workflow", "add", "w", "d", "d")
    workspace.run("workflow", "add", "w", "e", "d")
    workspace.run("workflow", "connect", "w", "d:input", "e:input")
    before = files(workspace)
    digest = workspace.json("workflow", "show", "w")["workflow"]
    asking = ("workflow", "submit", "w", "--workflow", digest, "--yes", "--json", "--passphrase-file")
    message = workspace.mistake(*asking, "wrong")
    assert message == "the passphrase of the private key is wrong, or the file is damaged"
    assert "the passphrase of me cannot be asked for without a terminal" in workspace.mistake(*asking[:-1])
    assert files(workspace) == before
    assert (
        json.loads(workspace.run(*asking, "passphrase"))["request"]
        == workspace.json("workflow", "status", "w")["request"]
    )
    request = workspace.json("workflow", "status", "w")["request"]
    words = ("workflow", "approve", request, "--yes", "--json", "--passphrase-file")
    message = workspace.mistake(*words, "wrong")
    assert message == "the passphrase of the private key is wrong, or the file is damaged"
    assert workspace.json("workflow", "status", "w")["state"] == "pending"
    assert json.loads(workspace.run(*words, "passphrase"))["state"] == "approved"


def at_terminal(folder: Path, answers: list[str], *words: str) -> tuple[int, str]:
    """Run the command with a terminal for standard input and standard error, and answer what it asks."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *words],
        cwd=folder,
        env=environment(**PATHS),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    shown, waiting = b"", list(answers)
    try:
        while True:
            try:
                shown += os.read(controller, 4096)
            except OSError:  # the process has closed its end
                break
            if waiting and shown.rstrip(b" ").endswith((b":", b"[y/N]")) and not shown.endswith(b"\n"):
                os.write(controller, f"{waiting.pop(0)}\n".encode())
                shown += b"\n"
        return process.wait(timeout=PATIENCE), shown.decode().replace("\r\n", "\n")
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def test_new_passphrase_is_asked_for_twice_and_not_shown(tmp_path):
    words = ("identity", "new", "clinic", "--contact", "c")
    code, shown = at_terminal(tmp_path, ["correct horse", "correct house"], *words)
    assert code == 2
    assert "the two passphrases differ; no identity was made" in shown
    assert not (tmp_path / "identities").exists()
    code, shown = at_terminal(tmp_path, ["correct horse", "correct horse"], *words)
    assert code == 0, shown
    assert "New passphrase of clinic: " in shown
    assert "horse" not in shown
    assert b"ENCRYPTED" in (tmp_path / "identities/clinic/key.pem").read_bytes()
    code, shown = at_terminal(tmp_path, [""], "identity", "new", "lab", "--contact", "c")
    assert code == 2
    assert "an empty passphrase protects nothing" in shown


def test_what_is_signed_is_confirmed_and_anything_but_yes_signs_nothing(asked):
    clinic = asked["clinic"]
    code, shown = at_terminal(clinic.folder, ["n"], "workflow", "approve", NAME)
    assert code == 2
    assert shown.index("what reaches whom") < shown.index("Sign this as Clinic A? [y/N]")
    assert "not confirmed; nothing was changed" in shown
    assert clinic.json("workflow", "status", NAME)["parties"][0]["says"] == "has not decided"
    code, shown = at_terminal(clinic.folder, ["y"], "workflow", "approve", NAME)
    assert code == 0, shown
    (said,) = [one for one in clinic.json("workflow", "status", NAME)["parties"] if one["name"] == "Clinic A"]
    assert said["says"] == "approved"
    done = asked["lab"].call("workflow", "approve", NAME)
    assert (
        done.err
        == "connectors: error: confirmation needs a terminal; --yes skips it (see connectors workflow --help)\n"
    )


def test_json_is_no_way_to_sign_unseen(filled):
    lab, clinic = filled["lab"], filled["clinic"]
    workflow = lab.json("workflow", "show", NAME)["workflow"]
    before = files(lab)
    unseen = "--yes with --json shows nothing of what is signed"
    assert unseen in lab.mistake("workflow", "submit", NAME, "--yes", "--json")
    message = lab.mistake("workflow", "submit", NAME, "--yes", "--json", "--workflow", "00" * 32)
    assert "is not the workflow that --workflow names" in message
    assert "confirmation needs a terminal" in lab.mistake("workflow", "submit", NAME, "--json")
    assert files(lab) == before
    request = json.loads(lab.run("workflow", "submit", NAME, "--yes", "--json", "--workflow", workflow))["request"]
    lab.run("workflow", "export", NAME, "--out", "../request.json")
    clinic.run("workflow", "import", "../request.json")
    before = files(clinic)
    for words in (("approve",), ("decline", "--reason", "no")):
        for name in (NAME, request[:63]):
            assert unseen in clinic.mistake("workflow", words[0], name, *words[1:], "--yes", "--json")
    assert files(clinic) == before
    code, shown = at_terminal(clinic.folder, ["n"], "workflow", "approve", NAME, "--json")
    assert code == 2
    assert shown.index("https://clinic.example/conditions.sealed") < shown.index("Sign this as Clinic A? [y/N]")
    assert files(clinic) == before
    assert json.loads(clinic.run("workflow", "approve", request, "--yes", "--json"))["state"] == "pending"


def test_the_question_is_asked_where_the_request_is_shown(asked):
    controller, terminal = pty.openpty()
    words = [*COMMAND, "workflow", "approve", NAME]
    process = subprocess.Popen(
        words,
        cwd=asked["clinic"].folder,
        env=environment(**PATHS),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    os.close(terminal)
    os.write(controller, b"n\n")
    out, err = process.communicate(timeout=PATIENCE)
    os.close(controller)
    assert out.strip() == b""
    assert err.index(b"what reaches whom") < err.index(b"Sign this as Clinic A? [y/N]")


def test_who_asks_confirms_it_and_anything_but_yes_leaves_the_draft(filled):
    lab = filled["lab"]
    before = files(lab)
    code, shown = at_terminal(lab.folder, ["n"], "workflow", "submit", NAME)
    assert code == 2
    assert shown.index("Lab B asks for:") < shown.index("what reaches whom") < shown.index("Sign this as Lab B? [y/N]")
    assert "not confirmed; nothing was changed" in shown
    assert files(lab) == before
    assert "confirmation needs a terminal" in lab.call("workflow", "submit", NAME).err
    assert files(lab) == before
    code, shown = at_terminal(lab.folder, ["y"], "workflow", "submit", NAME)
    assert code == 0, shown
    assert "Signed. The approvers are " in shown
    assert "You are one of them, and have not approved yet. Send them the request: " in shown
    assert lab.json("workflow", "status", NAME)["state"] == "pending"
