"""The store of workflow documents: written once, verified when read, merged by taking the files of both."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from parties import NOW, Story, bundle_of, decided, edge, person, requested, story, submitted

from connectors.errors import ConfigError, InvalidDocument, NotApproved, ObjectChanged, ObjectExists
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import DatasetDocument, Party, Revocation, Workflow
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.requests import Request, make_request
from connectors.workflow.store.folder import Store, name_of
from connectors.workflow.trust.signing import Envelope, sign
from connectors.workflow.trust.verification import status

LATER = "2026-03-02T00:00:00Z"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


@pytest.fixture
def filled(store: Store) -> tuple[Store, Story, Request]:
    """A store with a request and all that it holds, as its requester has signed it."""
    told, request = requested()
    store.keep(bundle_of(request))
    return store, told, request


def files(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def script(code: str, *arguments: object) -> subprocess.Popen[str]:
    """Run Python in a process of its own, with the modules that the tests have."""
    paths = [entry for entry in sys.path if entry]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


# Documents


def test_documents_are_found_by_digest_by_its_first_digits_and_by_name(filled):
    store, told, request = filled
    for document in request.parsed.values():
        assert store.get(document.digest) == document
        assert store.find(document.digest, type(document)) == document
        assert store.find(document.digest[:8], type(document)) == document
        assert store.find(name_of(document), type(document)) == document
    assert store.find("Patient conditions", Request) == request
    assert store.get("00" * 32) is None
    assert list(store.documents(Party)) == sorted(
        (one.party for one in (told.clinic, told.lab, told.receiver)), key=lambda party: party.digest
    )


def test_what_is_meant_by_two_documents_is_refused_and_both_are_listed(filled):
    store, told, request = filled
    first = next(one for one in request.parsed.values() if name_of(one) == "Conditions Data")
    second = DatasetDocument.make(**{**dict(first), "owner": told.lab.party.digest})
    store.add(second)
    with pytest.raises(ConfigError, match="there is more than one dataset 'Conditions Data'") as caught:
        store.find("Conditions Data", DatasetDocument)
    assert first.digest[:12] in str(caught.value)
    assert second.digest[:12] in str(caught.value)
    assert "of 'Clinic A'" in str(caught.value)
    assert "of 'Lab B'" in str(caught.value)
    assert store.find(second.digest[:8], DatasetDocument) == second


@pytest.mark.parametrize("text", ["nobody", "00" * 32, "0" * 8, "", "../../etc/passwd", "1f0c"])
def test_what_is_not_there_is_not_found(filled, text):
    with pytest.raises(ConfigError, match="the store has no party"):
        filled[0].find(text, Party)


def test_seven_digits_are_not_enough(filled):
    store, told, _ = filled
    with pytest.raises(ConfigError, match="the store has no party"):
        store.find(told.clinic.party.digest[:7], Party)


def test_documents_are_single_lines_of_text_without_anything_around_them(filled):
    store, _, request = filled
    assert len(files(store.folder)) == len(request.documents) + 2
    for path in Path(store.folder).rglob("*.json"):
        assert canonical_bytes(json.loads(path.read_bytes())) == path.read_bytes()
        assert b"\n" not in path.read_bytes()


def damage() -> dict[str, object]:
    return {
        "a flipped bit": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
        "half of it": lambda data: data[: len(data) // 2],
        "nothing": lambda data: b"",
        "a new line at its end": lambda data: data + b"\n",
        "indented": lambda data: json.dumps(json.loads(data), indent=1).encode(),
        "another document": lambda data: person("Dr. Eve").party.to_bytes(),
        "no document": lambda data: b"\xff\x00" * 40,
    }


@pytest.mark.parametrize("name", ["Clinic A", "Patient conditions"])
@pytest.mark.parametrize("how", damage())
def test_file_that_is_not_what_its_name_says_is_an_error_that_names_it(filled, name, how):
    store = filled[0]
    document = store.find(name, Party, Request)
    path = Path(store.folder, "documents", document.digest[:2], f"{document.digest}.json")
    whole = path.read_bytes()
    path.write_bytes(damage()[how](whole))
    for use in (
        lambda: store.get(document.digest),
        lambda: store.find(document.digest[:8], type(document)),
        lambda: list(store.documents(Party)),
        lambda: store.add(document),
    ):
        with pytest.raises(InvalidDocument) as caught:
            use()
        assert str(caught.value).startswith(str(path))
    path.write_bytes(whole)
    assert store.get(document.digest) == document


def test_document_that_breaks_a_rule_is_refused_although_its_digest_is_its_name(store):
    members = {**person("Clinic A").party.members(), "keys": []}
    for data in (canonical_bytes(members), canonical_bytes({"schema": "something else"}), b'{"a": 1}', b"[]"):
        digest = digest_of(data)
        path = Path(store.folder, "documents", digest[:2], f"{digest}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        with pytest.raises(InvalidDocument) as caught:
            store.get(digest)
        assert str(caught.value).startswith(str(path))


@pytest.mark.timeout(30)
def test_links_and_pipes_and_folders_are_refused_without_waiting(filled, tmp_path):
    store, told, _ = filled
    document = told.clinic.party
    path = Path(store.folder, "documents", document.digest[:2], f"{document.digest}.json")
    kept = tmp_path / "elsewhere.json"
    shutil.move(path, kept)
    for make in (lambda: path.symlink_to(kept), lambda: os.mkfifo(path), path.mkdir):
        make()
        with pytest.raises(InvalidDocument, match="no regular file") as caught:
            store.get(document.digest)
        assert str(caught.value).startswith(str(path))
        path.rmdir() if path.is_dir() else path.unlink()


def test_what_other_programs_leave_in_the_folder_is_not_looked_at(filled):
    store, told, request = filled
    for name in (".gitkeep", f".{'0' * 32}.part", "README.md", "conflict.json.orig"):
        Path(store.folder, "documents", told.clinic.party.digest[:2], name).write_text("x")
    Path(store.folder, "documents", "README").write_text("x")
    assert len(list(store.documents(Party))) == 3
    assert store.find("Patient conditions", Request) == request


# Many writers

WRITER = """
import sys
from parties import story
from connectors.workflow.documents.kinds import DatasetDocument
from connectors.workflow.store.folder import Store

told, _ = story()
store = Store(sys.argv[1])
example = next(one for one in told.documents.values() if isinstance(one, DatasetDocument))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    store.add(DatasetDocument.make(**{**dict(example), "name": f"dataset {number}", "owner": "00" * 32}))
"""


def start(store: Store, count: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER, store.folder, str(count)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_writers_of_the_same_documents_at_the_same_time_find_each_others(store):
    processes = [start(store, 40) for _ in range(3)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    found = sorted(document.name for document in store.documents(DatasetDocument))
    assert found == sorted(f"dataset {number}" for number in range(40))
    assert len(files(store.folder)) == 40
    for process in processes:
        process.communicate()


def test_writer_that_is_killed_leaves_no_half_document(store):
    process = start(store, 100_000)
    process.stdin.write("go\n")
    process.stdin.flush()
    end = time.monotonic() + 60
    while len(files(store.folder)) < 20 and time.monotonic() < end:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    found = list(store.documents(DatasetDocument))
    assert len(found) >= 19
    assert all(document.name.startswith("dataset ") for document in found)


EDITOR = """
import sys
from connectors.errors import ObjectChanged
from connectors.workflow.documents.kinds import Party
from connectors.workflow.store.folder import Store

store = Store(sys.argv[1])
(party,) = store.documents(Party)
refused = 0
for number in range(8):
    while True:
        was = store.draft("x")
        try:
            store.save_draft("x", was.with_place(f"{sys.argv[2]}-{number}", party, "dataset"), was)
            break
        except ObjectChanged:
            refused += 1
print(refused)
"""


def test_no_change_to_a_draft_is_lost_between_three_writers(store):
    store.add(person("Clinic A").party)
    store.save_draft("x", Draft(workflow=Workflow(name="x", objects={})), None)
    for process in [script(EDITOR, store.folder, who) for who in "abc"]:
        finish(process)
    draft = store.draft("x")
    assert set(draft.workflow.objects) == {f"{who}-{number}" for who in "abc" for number in range(8)}
    assert draft.revision == 25


# Drafts


def test_draft_that_was_changed_meanwhile_is_not_overwritten(store):
    _, workflow = story()
    first = Draft(workflow=workflow)
    store.save_draft("Patient conditions", first, None)
    mine = first.without_object("result")
    theirs = first.without_edge(edge("conditions", "describe:input"))
    store.save_draft("Patient conditions", theirs, first)
    with pytest.raises(ObjectChanged, match="was at revision 1 when it was read, and is at revision 2 now"):
        store.save_draft("Patient conditions", mine, first)
    with pytest.raises(ObjectChanged, match="somebody else has changed it"):
        store.drop_draft("Patient conditions", first)
    assert store.draft("Patient conditions") == theirs
    with pytest.raises(ObjectExists, match="there is a draft 'Patient conditions' already"):
        store.save_draft("Patient conditions", first, None)
    store.drop_draft("Patient conditions", theirs)
    with pytest.raises(ObjectChanged, match="is gone now"):
        store.save_draft("Patient conditions", mine, theirs)
    assert store.drafts() == {}


@pytest.mark.parametrize("name", ["", "..", ".git", "a/b", "a\nb", "x" * 101, " x"])
def test_draft_cannot_be_called_what_no_file_is_called(store, name):
    for use in (store.draft, lambda name: store.save_draft(name, Draft(workflow=Workflow(name="x", objects={})), None)):
        with pytest.raises(ConfigError, match="a draft cannot be called"):
            use(name)


def test_unknown_draft_is_an_error_that_lists_those_there_are(store):
    with pytest.raises(ConfigError, match="there is no draft 'x'; there are none"):
        store.draft("x")
    store.save_draft("y", Draft(workflow=Workflow(name="y", objects={})), None)
    with pytest.raises(ConfigError, match="there are 'y'"):
        store.draft("x")


# What was said


def revoked(asked: Request, who, reason: str = "moved") -> Envelope:
    document = Revocation(request=asked.digest, party=who.party.digest, reason=reason, when=moment_text(NOW))
    return sign(document, who.signer)


def test_what_was_said_comes_back_verified(filled):
    store, told, request = filled
    for who in (told.clinic, told.lab, told.receiver):
        store.say(request, decided(request, who))
        store.say(request, decided(request, who))
    trusted = {who.party.digest for who in (told.clinic, told.lab, told.receiver)}
    assert status(store.bundle(request), trusted, NOW).state == "approved"
    store.say(request, revoked(request, told.lab))
    assert status(store.bundle(request), trusted, NOW).against == {told.lab.party.digest: "moved"}
    assert len(store.statements(request)) == 5


def forgeries(told: Story, request: Request) -> dict[str, Envelope]:
    return {
        "with another's key": decided(request, told.clinic, signer=told.lab.signer),
        "by a stranger": decided(request, person("Dr. Eve")),
        "to another request": decided(request, told.clinic, request="00" * 32),
        "of another kind": sign(told.clinic.party, told.clinic.signer),
        "asked by another": submitted(request, told.clinic),
        "asked with another's key": submitted(request, signer=told.clinic.signer),
        "asked by a stranger": submitted(request, person("Dr. Eve")),
        "asked of another request": submitted(request, request="00" * 32),
    }


@pytest.mark.parametrize("how", forgeries(*requested()))
def test_what_nobody_has_said_is_neither_kept_nor_believed(filled, how):
    store, told, request = filled
    forged = forgeries(told, request)[how]
    with pytest.raises((NotApproved, InvalidDocument)):
        store.say(request, forged)
    assert store.statements(request) == [submitted(request)]
    digest = digest_of(forged.to_bytes())
    path = Path(store.folder, "said", request.digest, f"{digest}.json")
    path.write_bytes(forged.to_bytes())
    with pytest.raises((NotApproved, InvalidDocument)) as caught:
        store.bundle(request)
    assert str(caught.value).startswith(str(path))


def test_half_of_what_was_said_is_an_error_that_names_the_file(filled):
    store, told, request = filled
    digest = store.say(request, decided(request, told.clinic))
    path = Path(store.folder, "said", request.digest, f"{digest}.json")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InvalidDocument, match="not written whole") as caught:
        store.statements(request)
    assert str(caught.value).startswith(str(path))


def test_of_somebody_who_said_two_things_a_decline_counts_and_else_the_earlier_one(filled):
    store, told, request = filled
    store.say(request, decided(request, told.clinic, when=LATER))
    store.say(request, decided(request, told.clinic))
    (envelope,) = store.bundle(request).decisions
    assert envelope == decided(request, told.clinic)
    store.say(request, decided(request, told.clinic, "decline", reason="no", when=LATER))
    (envelope,) = store.bundle(request).decisions
    assert envelope == decided(request, told.clinic, "decline", reason="no", when=LATER)
    trusted = {who.party.digest for who in (told.clinic, told.lab, told.receiver)}
    assert status(store.bundle(request), trusted, NOW).state == "declined"


# Who asks


def put(store: Store, request: Request) -> Path:
    """Lay a request down without its submission, as somebody might who can write to the folder."""
    for document in (*request.parsed.values(), request):
        store.add(document)
    return Path(store.folder, "documents", request.digest[:2], f"{request.digest}.json")


def test_request_that_nobody_has_signed_is_an_error_that_names_the_file_and_leaves_others_alone(filled):
    store, told, request = filled
    other = make_request(request.graph.workflow, told.documents, told.clinic.party, created=NOW)
    path = put(store, other)
    with pytest.raises(NotApproved, match="it names 'Clinic A' as the requester, whose signed") as caught:
        store.bundle(other)
    assert str(caught.value).startswith(str(path))
    assert "or move the file away" in str(caught.value)
    assert store.bundle(request) == bundle_of(request)
    store.say(other, decided(other, told.clinic))
    with pytest.raises(NotApproved, match="submission is missing here"):
        store.bundle(other)
    assert store.keep(bundle_of(other)) == [digest_of(submitted(other).to_bytes())]
    assert store.bundle(other) == bundle_of(other, decided(other, told.clinic))


def test_who_has_asked_twice_has_asked_at_the_earlier_time(filled):
    store, _, request = filled
    store.say(request, submitted(request, when=LATER))
    assert store.bundle(request) == bundle_of(request)
    store.say(request, submitted(request, when="2026-02-01T00:00:00Z"))
    assert store.bundle(request).submission == submitted(request, when="2026-02-01T00:00:00Z")
    assert len(store.statements(request)) == 3


@pytest.mark.parametrize(
    "forged",
    [
        lambda told, request: {"submission": submitted(request, told.clinic)},
        lambda told, request: {"submission": submitted(request, signer=told.clinic.signer)},
        lambda told, request: {"decisions": (decided(request, told.clinic, signer=told.lab.signer),)},
        lambda told, request: {"decisions": (decided(request, told.clinic),) * 2},
        lambda told, request: {"revocations": (decided(request, told.clinic),)},
    ],
    ids=["asked by another", "asked with another's key", "with another's key", "one twice", "another list"],
)
def test_nothing_is_kept_of_a_request_in_which_something_is_not_said_by_who_is_named(store, forged):
    told, request = requested()
    with pytest.raises((NotApproved, InvalidDocument)):
        store.keep(bundle_of(request, **forged(told, request)))
    assert not Path(store.folder).exists()


def test_request_takes_the_place_of_its_draft_and_of_no_later_one(store):
    _, request = requested()
    draft = Draft(workflow=request.graph.workflow)
    later = draft.without_object("result")
    store.save_draft("x", draft, None)
    store.save_draft("x", later, draft)
    before = files(store.folder)
    with pytest.raises(ObjectChanged, match="nothing was written"):
        store.submit(bundle_of(request), "x", draft)
    assert files(store.folder) == before
    store.save_draft("y", draft, None)
    store.submit(bundle_of(request), "y", draft)
    assert set(store.drafts()) == {"x"}
    assert store.bundle(request) == bundle_of(request)


KILLED = """
import os, signal, sys
from connectors.workflow.store import folder as module
from connectors.workflow.store.folder import Store
from connectors.workflow.trust.verification import Bundle

with open(sys.argv[2], "rb") as file:
    bundle = Bundle.from_bytes(file.read())
last, write_once = int(sys.argv[3]), module.write_once

def counting(path, data):
    global last
    if last == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    last -= 1
    return write_once(path, data)

module.write_once = counting
store = Store(sys.argv[1])
store.submit(bundle, "x", store.draft("x"))
"""


def test_requester_who_is_killed_at_any_write_leaves_no_request_that_is_not_signed(tmp_path):
    _, request = requested()
    (tmp_path / "bundle.json").write_bytes(bundle_of(request).to_bytes())
    draft = Draft(workflow=request.graph.workflow)
    count = len(request.documents) + 2
    for written in (0, 1, count - 1):
        store = Store(str(tmp_path / str(written)))
        store.save_draft("x", draft, None)
        process = script(KILLED, store.folder, tmp_path / "bundle.json", written)
        process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL
        assert len(files(store.folder)) == 1 + written
        assert list(store.documents(Request)) == []
        assert store.drafts() == {"x": draft}
        store.submit(bundle_of(request), "x", draft)
        assert store.bundle(request) == bundle_of(request)
        assert store.drafts() == {}


# Git


def git(folder: Path, *words: str, code: int = 0) -> str:
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": str(folder)}
    for role in ("AUTHOR", "COMMITTER"):
        settings |= {f"GIT_{role}_NAME": "Somebody", f"GIT_{role}_EMAIL": "somebody@example.org"}
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **settings}, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, (words, done.stdout, done.stderr)
    return done.stdout


@pytest.fixture
def clones(filled, tmp_path):
    """Two clones of a repository that holds a store with a request and a draft."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    store, told, request = filled
    store.save_draft("next", Draft(workflow=Workflow(name="next", objects={})), None)
    root = Path(store.folder)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "the request")
    stores = []
    for name in ("one", "two"):
        git(tmp_path, "clone", "-q", str(root), name)
        stores.append(Store(str(tmp_path / name)))
    return stores, told, request


def merge(here: Store, there: Store, code: int = 0) -> None:
    for store in (here, there):
        git(Path(store.folder), "add", "-A")
        git(Path(store.folder), "commit", "-qm", "what was said")
    git(Path(here.folder), "fetch", "-q", there.folder, "main")
    git(Path(here.folder), "merge", "-q", "-m", "merged", "FETCH_HEAD", code=code)


def test_two_clones_are_merged_by_taking_the_files_of_both(clones):
    (one, two), told, request = clones
    one.say(request, decided(request, told.clinic))
    one.say(request, decided(request, told.receiver))
    two.say(request, decided(request, told.receiver))
    two.say(request, decided(request, told.lab))
    two.add(person("Dr. Eve").party)
    was = two.draft("next")
    two.save_draft("next", was.with_place("later", told.clinic.party, "dataset"), was)
    merge(one, two)
    trusted = {who.party.digest for who in (told.clinic, told.lab, told.receiver)}
    assert status(one.bundle(request), trusted, NOW).state == "approved"
    assert one.find("Dr. Eve", Party)
    assert one.draft("next").revision == 2
    assert len(one.statements(request)) == 4


def test_draft_that_both_have_changed_is_a_conflict_which_nobody_overlooks(clones):
    (one, two), told, request = clones
    for store, name in ((one, "a"), (two, "b")):
        was = store.draft("next")
        store.save_draft("next", was.with_place(name, told.clinic.party, "dataset"), was)
    merge(one, two, code=1)
    path = Path(one.folder, "drafts", "next.json")
    assert "<<<<<<<" in path.read_text()
    with pytest.raises(InvalidDocument) as caught:
        one.drafts()
    assert str(caught.value).startswith(str(path))
    assert one.find("Patient conditions", Request) == request
