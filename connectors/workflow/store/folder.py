"""A store of workflow documents in a folder, safe for concurrent writers, for git and on untrusted storage.

::

    documents/1f/1f0c….json      a document, in its canonical bytes
    said/<request>/9a41….json    a signed submission, decision or revocation, named by the digest of its envelope
    drafts/<name>.json           a workflow that can still be changed
    own/<name>.json              the last revision of a draft that was made here, if the draft is a later one of others

All files except the last two are written once and never changed, so two copies of the folder merge by taking all files.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING

from connectors.errors import InvalidDocument
from connectors.system.atomic_files import locked, read_regular, replace, write_new
from connectors.workflow.documents.canonical import MAX_SIZE
from connectors.workflow.store.contract import DocumentStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from connectors.workflow.store.records import DraftChange, Record

__all__ = ["FolderStore"]

_FILE = re.compile(r"([0-9a-f]{64})\.json")


class FolderStore(DocumentStore):
    """A folder of documents.

    A commit is not rolled back: a writer that is killed leaves the first of its records, each complete.

    Args:
        folder: its path; it need not exist yet.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def read_document(self, digest: str) -> bytes | None:
        """Return the contents of its file."""
        return read_regular(self.locate(digest), MAX_SIZE)

    def list_documents(self, prefix: str = "") -> list[str]:
        """Return the digests that name files; other files are ignored."""
        root = os.path.join(self.folder, "documents")
        parts = [part for part in _listed(root) if part.startswith(prefix[:2])]
        found = (digest for part in parts for digest in _digests_in(os.path.join(root, part)))
        return sorted(digest for digest in found if digest.startswith(prefix))

    def read_statements(self, request: str) -> Iterator[tuple[str, bytes]]:
        """Yield the digests and contents of the files in the request's folder."""
        for digest in _digests_in(os.path.join(self.folder, "said", request)):
            data = read_regular(self.locate(digest, request), MAX_SIZE)
            if data is not None:
                yield digest, data

    def read_draft(self, name: str) -> bytes | None:
        """Return the contents of its file."""
        return read_regular(self.locate_draft(name), MAX_SIZE)

    def read_own_revision(self, name: str) -> bytes | None:
        """Return the contents of its file."""
        return read_regular(self.locate_own_revision(name), MAX_SIZE)

    def list_drafts(self) -> list[str]:
        """Return the names of the files, without their suffix."""
        return [name.removesuffix(".json") for name in _listed(self._drafts) if name.endswith(".json")]

    def commit(self, records: Sequence[Record], drafts: Sequence[DraftChange] = ()) -> list[str]:
        """Write one file after the other; drafts under a lock that all writers of drafts take."""
        with locked(self._drafts) if drafts else contextlib.nullcontext():
            for change in drafts:
                change.check(self.read_draft(change.name), self.locate_draft(change.name))
            added = [record.digest for record in records if self._write(record)]
            for change in drafts:
                self._change(change)
        return added

    def _change(self, change: DraftChange) -> None:
        """Change a draft. A writer that is killed leaves an own revision that may be too old, but never too new."""
        path, own = self.locate_draft(change.name), self.locate_own_revision(change.name)
        if change.own is not None:
            replace(own, change.own.to_bytes(), private=False)
        if change.now is None:
            os.unlink(path)
        else:
            replace(path, change.now.to_bytes(), private=False)
        if change.own is None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(own)

    def _write(self, record: Record) -> bool:
        """Write a file unless it is there, and tell whether it is new."""
        path = self.locate(record.digest, record.request)
        new = write_new(path, record.data, private=False)
        if not new and read_regular(path, MAX_SIZE) != record.data:
            message = f"{path} does not match its name: it was changed, or not written completely; move it away"
            raise InvalidDocument(message)
        return new

    def locate(self, digest: str, request: str | None = None) -> str:
        """Return the path of its file."""
        folder = ("documents", digest[:2]) if request is None else ("said", request)
        return os.path.join(self.folder, *folder, f"{digest}.json")

    def locate_draft(self, name: str) -> str:
        """Return the path of its file."""
        return os.path.join(self._drafts, f"{name}.json")

    def locate_own_revision(self, name: str) -> str:
        """Return the path of its file."""
        return os.path.join(self.folder, "own", f"{name}.json")

    @property
    def _drafts(self) -> str:
        return os.path.join(self.folder, "drafts")


def _listed(folder: str) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones; none if the folder does not exist."""
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _digests_in(folder: str) -> list[str]:
    return [found[1] for found in map(_FILE.fullmatch, _listed(folder)) if found]
