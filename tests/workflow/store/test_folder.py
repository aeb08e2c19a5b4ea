"""The store in a folder keeps the contract; and its files, what is done to them, and how git merges them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path

import pytest
from parties import NOW, Story, bundle_of, decided, person, requested
from patience import PATIENCE, until

from connectors.errors import InvalidDocument, NotApproved
from connectors.testing.document_store import DocumentStoreContract
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import DatasetDocument, Party, Workflow
from connectors.workflow.documents.requests import Request
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.trust.verification import status


class TestFolderStore(DocumentStoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        return FolderStore(str(tmp_path / "store"))

    def opener(self, store):
        return partial(FolderStore, store.folder)

    def executor(self):
        return ProcessPoolExecutor(3, mp_context=get_context("spawn"))

    def overwrite(self, store, record):
        path = Path(store.locate(record.digest, record.request))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(record.data)

    def overwrite_draft(self, store, name, data):
        Path(store.locate_draft(name)).write_bytes(data)

    def overwrite_own_revision(self, store, name, data):
        Path(store.locate_own_revision(name)).write_bytes(data)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(str(tmp_path / "store"))


@pytest.fixture
def filled(store: FolderStore) -> tuple[FolderStore, Story, Request]:
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


# Files


def test_files_are_where_and_what_they_have_always_been(filled):
    store, told, request = filled
    store.say(request, decided(request, told.clinic))
    store.save_draft("next", Draft(workflow=request.graph.workflow), None)
    found = sorted(files(store.folder))
    assert found[0] == "documents/24/248958c58e0fc2e9d1d3803505023c9740e317d4ce9d50200f6132163cc5ecff.json"
    assert found[9] == "drafts/next.json"
    assert found[10].startswith("said/b4de2844f180129370f366acd19266c916554f5bcf564b1bbcd2ac6e75fd9a7d/1808625e")
    everything = b"".join(name.encode() + b"\0" + Path(store.folder, name).read_bytes() for name in found)
    assert sha256(everything).hexdigest() == "f192beae0f15a9b3ecdcbc7f874af1d4899d5aaa9aa29d8437e5710e800d2948"


def test_an_error_begins_with_the_path_of_the_file(filled):
    store, told, request = filled
    store.save_draft("next", Draft(workflow=request.graph.workflow), None)
    digest = told.clinic.party.digest
    (said,) = [one.digest for one in store.statements(request)]
    for path, use in (
        (Path("documents", digest[:2], f"{digest}.json"), lambda: store.get(digest)),
        (Path("documents", digest[:2], f"{digest}.json"), lambda: store.add(told.clinic.party)),
        (Path("said", request.digest, f"{said}.json"), lambda: store.bundle(request)),
        (Path("drafts", "next.json"), store.drafts),
    ):
        (store.folder / path).write_bytes(b"{}")
        with pytest.raises(InvalidDocument) as caught:
            use()
        assert str(caught.value).startswith(str(store.folder / path))
    (store.folder / Path("said", request.digest, f"{said}.json")).unlink()
    with pytest.raises(NotApproved) as caught:
        store.bundle(request)
    assert str(caught.value).startswith(store.locate(request.digest))
    assert "or remove the request" in str(caught.value)


def test_a_bundle_that_is_refused_makes_no_folder(store):
    told, request = requested()
    with pytest.raises(NotApproved):
        store.keep(bundle_of(request, decided(request, told.clinic, signer=told.lab.signer)))
    assert not Path(store.folder).exists()


def test_documents_are_single_lines_of_text_without_anything_around_them(filled):
    store, _, request = filled
    assert len(files(store.folder)) == len(request.documents) + 2
    for path in Path(store.folder).rglob("*.json"):
        assert canonical_bytes(json.loads(path.read_bytes())) == path.read_bytes()
        assert b"\n" not in path.read_bytes()


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
from connectors.workflow.store.folder import FolderStore

told, _ = story()
store = FolderStore(sys.argv[1])
example = next(one for one in told.documents.values() if isinstance(one, DatasetDocument))
print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[2])):
    store.add(DatasetDocument.make(**{**dict(example), "name": f"dataset {number}", "owner": "00" * 32}))
"""


def start(store: FolderStore, count: int) -> subprocess.Popen[str]:
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


def test_writer_that_is_killed_leaves_no_half_document(store):
    process = start(store, 100_000)
    process.stdin.write("go\n")
    process.stdin.flush()
    until(lambda: len(files(store.folder)) >= 20, "20 documents are written")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    found = list(store.documents(DatasetDocument))
    assert len(found) >= 19
    assert all(document.name.startswith("dataset ") for document in found)


# Requests

KILLED = """
import os, signal, sys
from connectors.workflow.store import folder as module
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.trust.verification import Bundle

with open(sys.argv[2], "rb") as file:
    bundle = Bundle.from_bytes(file.read())
last, write_new = int(sys.argv[3]), module.write_new

def counting(path, data, **how):
    global last
    if last == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    last -= 1
    return write_new(path, data, **how)

module.write_new = counting
store = FolderStore(sys.argv[1])
store.submit(bundle, "x", store.draft("x"))
"""


def test_requester_killed_at_any_write_leaves_no_unsigned_request(tmp_path):
    _, request = requested()
    (tmp_path / "bundle.json").write_bytes(bundle_of(request).to_bytes())
    draft = Draft(workflow=request.graph.workflow)
    count = len(request.documents) + 2
    for written in (0, 1, count - 1):
        store = FolderStore(str(tmp_path / str(written)))
        store.save_draft("x", draft, None)
        process = script(KILLED, store.folder, tmp_path / "bundle.json", written)
        process.communicate(timeout=PATIENCE)
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
        stores.append(FolderStore(str(tmp_path / name)))
    return stores, told, request


def merge(here: FolderStore, there: FolderStore, code: int = 0) -> None:
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
