"""A store in memory: the contract is about documents, and not about files."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial

import pytest

from connectors.errors import InvalidDocument
from connectors.testing.document_store import DocumentStoreContract
from connectors.workflow.store.contract import DocumentStore


@dataclass
class Tables:
    """What stores that are open at the same time share."""

    records: dict[tuple[str | None, str], bytes] = field(default_factory=dict)
    drafts: dict[str, bytes] = field(default_factory=dict)
    own: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


class MemoryStore(DocumentStore):
    """Documents in dictionaries, changed under a lock and all or nothing."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables

    def read_document(self, digest):
        return self.tables.records.get((None, digest))

    def list_documents(self, prefix=""):
        with self.tables.lock:
            return sorted(
                digest for about, digest in self.tables.records if about is None and digest.startswith(prefix)
            )

    def read_statements(self, request):
        with self.tables.lock:
            return sorted((digest, data) for (about, digest), data in self.tables.records.items() if about == request)

    def read_draft(self, name):
        return self.tables.drafts.get(name)

    def read_own_revision(self, name):
        return self.tables.own.get(name)

    def list_drafts(self):
        with self.tables.lock:
            return sorted(self.tables.drafts)

    def commit(self, records, drafts=()):
        with self.tables.lock:
            for change in drafts:
                change.check(self.tables.drafts.get(change.name), self.locate_draft(change.name))
            new = {(one.request, one.digest): one.data for one in records}
            for (request, digest), data in new.items():
                if self.tables.records.get((request, digest), data) != data:
                    raise InvalidDocument(f"{self.locate(digest, request)} was changed")
            added = [digest for request, digest in new if (request, digest) not in self.tables.records]
            self.tables.records |= new
            for change in drafts:
                if change.now is None:
                    del self.tables.drafts[change.name]
                else:
                    self.tables.drafts[change.name] = change.now.to_bytes()
                self.tables.own.pop(change.name, None)
                if change.own is not None:
                    self.tables.own[change.name] = change.own.to_bytes()
        return added


class TestMemoryStore(DocumentStoreContract):
    @pytest.fixture
    def store(self):
        return MemoryStore(Tables())

    def opener(self, store):
        return partial(MemoryStore, store.tables)

    def overwrite(self, store, record):
        store.tables.records[record.request, record.digest] = record.data

    def overwrite_draft(self, store, name, data):
        store.tables.drafts[name] = data

    def overwrite_own_revision(self, store, name, data):
        store.tables.own[name] = data
