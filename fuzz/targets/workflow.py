"""A stranger's workflow documents: every kind, envelopes, bundles, archives, CCM configurations, keys, identities.

The first byte chooses the parser; the rest is its input. What is accepted has one form and one digest, is kept and
passed on unchanged, and can be shown to people without a character that a terminal would obey. Errors, and what people
are shown, are in proportion to the input.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from connectors.cli.common.exit_codes import printable
from connectors.cli.workflow import render
from connectors.errors import ConnectorError
from connectors.names import is_name
from connectors.workflow.ccm import parse_runtime_app_config
from connectors.workflow.documents.canonical import digest_of, parse_canonical
from connectors.workflow.documents.commitment import OpenedCredentials, matches
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.graph import Graph
from connectors.workflow.documents.kinds import STATEMENTS, Party, Workflow
from connectors.workflow.documents.requests import KINDS, Request
from connectors.workflow.documents.runtime import RuntimeConfig, identifiers, runtime_configs
from connectors.workflow.review.difference import apply, compare
from connectors.workflow.review.picture import draw
from connectors.workflow.review.wording import in_words
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.store.transfer import export_draft, export_request, receive
from connectors.workflow.trust.identities import Identities, _members
from connectors.workflow.trust.private_keys import decrypted
from connectors.workflow.trust.public_keys import check_party
from connectors.workflow.trust.refusals import describe
from connectors.workflow.trust.signing import Envelope, payload_type
from connectors.workflow.trust.verification import Bundle, status
from fuzz import stories
from fuzz.checks import ACCEPTED, MARK, attempt, hold
from fuzz.targets.documents import _folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.workflow.documents.model import Document

__all__ = ["PARSERS", "WORDS", "check", "seeds"]

WORDS = (
    *(f'"{name}":'.encode() for name in ("schema", "kind", "name", "contact", "group", "keys", "owner", "labels")),
    *(f'"{name}":'.encode() for name in ("workflow", "objects", "edges", "source", "target", "id", "port", "ports")),
    *(f'"{name}":'.encode() for name in ("items", "contents", "history", "wanted", "reserved_for", "reason", "by")),
    *(f'"{one.kind}"'.encode() for one in (*KINDS.values(), *STATEMENTS, Request, Draft, RuntimeConfig)),
    *(
        b'"approve"',
        b'"decline"',
        b'"input"',
        b'"both"',
        b'"sgx"',
        b'"@',
        b'"#',
        b'"~ab"',
        b"null",
        b"true",
        b"{}",
        b"[]",
    ),
    *(
        b"\\u001b",
        b"\\u0000",
        b"\\u007f",
        b"\\u009b",
        b"\xc2\x9b",
        b"\\u202e",
        b"\xe2\x80\xae",
        b"\\ud800",
        b"\\n",
        b"]]>",
    ),
    *(b"..", b"/", b"-1", b"1e5", b"9007199254740993", b"2026-03-01T12:00:00Z", b"9999-12-31T23:59:59Z", b"hunter2"),
)
"""Words that the fuzzer inserts, besides bytes."""

_EVERY: tuple[type[Document], ...] = (*KINDS.values(), Draft, Request, *STATEMENTS, RuntimeConfig)
_MOST_OF_AN_ERROR = 10_000
"""Characters of an error's message, besides those of the names in it."""


def _attempt(call: Callable[[], object], data: bytes, *, hidden: bool = False) -> str:
    """Return the outcome of a call, and check that its error is in proportion to the input."""

    def measured() -> None:
        try:
            call()
        except ConnectorError as error:
            hold(len(str(error)) <= _MOST_OF_AN_ERROR + 16 * len(data), "an error is out of proportion")
            raise

    return attempt(measured, hidden=hidden)


def _show(lines: Iterable[str], data: bytes, pairs: int = 0) -> None:
    """Check text for people: each line can be shown as it is, and there are not too many."""
    listed = list(lines)
    hold(len(listed) <= 1_000 + 2 * len(data) + pairs, "more lines than the input has bytes")
    for line in listed:
        hold(line.replace("\n", "").isprintable(), "a character that a terminal would obey")
        hold(len(line) <= _MOST_OF_AN_ERROR + 16 * len(data), "a line is out of proportion")


def _same(document: Document, data: bytes) -> None:
    """Check that a document has one form and one digest, and can be shown."""
    hold(document.to_bytes() == data, "a document does not round-trip")
    hold(document.digest == digest_of(data), "a document has another digest")
    hold(type(document).from_bytes(data) == document, "a document is read differently a second time")


def _document(data: bytes) -> str:
    def parse() -> None:
        schema = parse_canonical(data).get("schema")
        kind = next((one for one in _EVERY if one.schema_name() == schema), Party)
        found = kind.from_bytes(data)
        _same(found, data)
        if isinstance(found, Request):
            _look(found.graph, data)
            _requested(found, data)
        if isinstance(found, Party):
            check_party(found)
        _show(map(printable, render.document_lines(found)), data)

    return _attempt(parse, data)


def _requested(request: Request, data: bytes) -> None:
    """Look at a request as people and enclaves do."""
    _show(render.request_lines(request), data, len(request.graph.reach()))
    configs = {name: one.identifier for name, one in runtime_configs(request).items()}
    hold(identifiers(request) == configs, "identifiers are not the digests of runtime configurations")
    for one in runtime_configs(request).values():
        _same(one, one.to_bytes())


def _look(graph: Graph, data: bytes) -> None:
    """Look at a workflow in all the ways that people do."""
    pairs = len(graph.reach())
    json.dumps(render.graph_json(graph))
    _show(render.graph_lines(graph), data, pairs)
    nothing = Graph(Workflow(name="nothing", objects={}), {})
    for before, after in ((nothing, graph), (graph, nothing)):
        found = compare(before, after)
        hold(apply(found, before).workflow == after.workflow, "a difference does not lead to the new version")
        _show((line for lines in in_words(found, before, after).values() for line in lines), data, pairs)
    hold(not compare(graph, graph), "a workflow differs from itself")
    _draw(draw(graph), data)


def _draw(picture: str, data: bytes) -> None:
    hold(picture.replace("\n", "").isprintable(), "a character that a terminal would obey is in a picture")
    kinds = {one.tag.rpartition("}")[2] for one in ET.fromstring(picture).iter()}
    hold(kinds <= _DRAWN, "a picture has other elements than it is drawn with")
    hold(len(picture) <= 20_000 + 100 * len(data), "a picture is out of proportion")


_DRAWN = {"svg", "title", "style", "rect", "g", "path", "circle", "text"}


def _envelope(data: bytes) -> str:
    def parse() -> None:
        found = Envelope.from_bytes(data)
        hold(found.to_bytes() == data and found.digest == digest_of(data), "an envelope does not round-trip")
        one = found.document(*STATEMENTS)
        _same(one, one.to_bytes())
        hold(found.payload_type == payload_type(type(one)), "a statement is of another kind than its envelope says")
        found.verify(Party(name="a", contact="a", keys=(_public_key("clinic"),)))

    return _attempt(parse, data)


def _public_key(name: str) -> Any:
    return Party.model_validate_json(json.dumps({"name": "a", "contact": "a", "keys": [stories.public(name)]})).keys[0]


def _file(data: bytes) -> str:
    """Import a file into an empty store, twice; then export what is there, and look at it."""
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        store = FolderStore(os.path.join(folder, "store"))

        def parse() -> None:
            passed = receive(store, data)
            hold(receive(store, data).added == [], "a file changes the store a second time")
            for digest, document in passed.documents.items():
                _same(document, document.to_bytes())
                hold(store.get(digest) == document, "a document is kept differently")
                _show(map(printable, render.document_lines(document)), data)
            for name, draft in passed.drafts.items():
                _same(draft, draft.to_bytes())
                graph = store.graph(draft.workflow)
                _look(graph, data)
                _show(render.draft_lines(draft, graph), data, len(graph.reach()))
                receive(FolderStore(os.path.join(folder, "other")), export_draft(store, name))
            if passed.bundle is not None:
                _bundle(passed.bundle, store, data)

        outcome = _attempt(parse, data)
        hold(
            outcome == ACCEPTED or not store.list_documents() + store.list_drafts(), "a part of a refused file is kept"
        )
        return outcome


def _bundle(bundle: Bundle, store: FolderStore, data: bytes) -> None:
    request = bundle.request
    hold(bundle.to_bytes() == data, "a bundle does not round-trip")
    found = status(bundle, request.documents)
    for again in (Bundle.from_bytes(data), store.bundle(request), Bundle.from_bytes(export_request(store, request))):
        hold(status(again, request.documents) == found, "a bundle that was written again verifies differently")
    _look(request.graph, data)
    _requested(request, data)
    _show(render.status_lines(bundle, found), data)
    _show([printable(describe(request, found))], data)
    _draw(draw(request.graph, found), data)
    json.dumps(render.status_json(bundle, found))


def _story(data: bytes, write: Callable[[dict[str, Any]], bytes]) -> str:
    written = b""

    def build() -> None:
        nonlocal written
        written = write(stories.opened(data))

    outcome = attempt(build)
    return _file(written) if outcome == ACCEPTED else outcome


def _bundle_story(data: bytes) -> str:
    return _story(data, stories.bundle)


def _archive_story(data: bytes) -> str:
    return _story(data, stories.archive)


def _ccm(data: bytes) -> str:
    def parse() -> None:
        found = parse_runtime_app_config(data)
        again = parse_runtime_app_config(found.model_dump_json(exclude_none=True).encode())
        hold(again.config == found.config and again.config.digest == found.config.digest, "it does not round-trip")
        json.loads(found.config.to_bytes())
        files = found.files(lambda *_: b"{}")
        hold(all(is_name(part) for path in files for part in path.split("/")), "a path leads elsewhere")

    return _attempt(parse, data)


def _public(data: bytes) -> str:
    """Use a public key as a party's, in a document and as the key of a new identity."""

    def check() -> None:
        keytype, scheme, text = [*data.decode("utf-8", "replace").split("\n", 2), "", ""][:3]
        party = Party.make(name="a", contact="a", keys=({"keytype": keytype, "scheme": scheme, "public": text},))
        check_party(party)
        attempt(lambda: Envelope.from_bytes(_said()).verify(party))

    def make() -> None:
        with tempfile.TemporaryDirectory(dir=_folder()) as folder:
            found = Identities(folder).with_signer("a", "a", "ssh-agent:", data)
            hold(Identities(folder).all()["a"].party == found.party, "an identity is read differently")
            check_party(found.party)

    outcomes = (_attempt(check, data), _attempt(make, data))
    return ACCEPTED if ACCEPTED in outcomes else outcomes[0]


def _said() -> bytes:
    told = stories.opened(_SHORT)
    return json.dumps(json.loads(stories.bundle(told))["submission"], sort_keys=True, separators=(",", ":")).encode()


def _identity(data: bytes) -> str:
    """Read one of the files of an identity, or the list of trusted parties."""
    name, _, content = data.partition(b"\n")
    file = _FILES.get(name)
    if file is None or b"ENCRYPTED" in content:  # the cost of a passphrase is in the file, which nobody else writes
        return _commitment(content)
    with tempfile.TemporaryDirectory(dir=_folder()) as folder:
        for path, good in (("clinic/party.json", _party()), (file, content)):
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.join(folder, "clinic"))
            with open(os.path.join(folder, path), "wb") as out:
                out.write(good)
        known = Identities(folder)

        def read() -> None:
            for digest, party in known.trusted().items():
                hold(isinstance(digest, str) and isinstance(party, str), "a trusted party is no text")
            one = known.choose("clinic")
            _same(one.party, one.party.to_bytes())
            if file.endswith("signer.json"):
                _members(os.path.join(folder, file), "enclave-connectors workflow signer 1", "uri")
            if file.endswith("key.pem"):
                decrypted(content, None)

        return _attempt(read, data, hidden=file.endswith("key.pem"))


_FILES = {
    b"party": "clinic/party.json",
    b"signer": "clinic/signer.json",
    b"key": "clinic/key.pem",
    b"trusted": "trusted.json",
}


def _commitment(data: bytes) -> str:
    def parse() -> None:
        found = OpenedCredentials.from_bytes(data)
        hold(found.to_bytes() == data, "credentials do not round-trip")
        hold(matches(OpenedCredentials.from_bytes(data), found.digest), "credentials do not open their commitment")
        hold(MARK not in repr(found), "a secret is shown")

    return _attempt(parse, data, hidden=True)


PARSERS: tuple[Callable[[bytes], str], ...] = (
    *(_document, _envelope, _file, _bundle_story, _archive_story, _ccm, _public, _identity),
)


def check(data: bytes) -> str:
    """Pass a parser its bytes."""
    return PARSERS[(data[0] if data else 0) % len(PARSERS)](data[1:])


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


_SHORT = _json(stories.small())


def _party() -> bytes:
    return _json(_only(Party))


def _only(kind: type[Document]) -> dict[str, Any]:
    """Return the only document of a kind in the small bundle, with its members sorted."""
    documents = json.loads(stories.bundle(stories.small()))["request"]["documents"].values()
    return next(one for one in documents if one["schema"] == kind.schema_name())


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    small, drafted = stories.bundle(stories.small()), stories.archive(stories.drafted())
    request = Bundle.from_bytes(small).request
    envelopes = json.loads(small)
    written = {one.kind.replace(" ", "-"): one.to_bytes() for one in (request, *request.parsed.values())}
    written["runtime"] = next(iter(runtime_configs(request).values())).to_bytes()
    written["draft"] = _json(json.loads(drafted)["drafts"]["x"])
    written["decision"] = Envelope.from_bytes(_json(envelopes["decisions"][0])).document(*STATEMENTS).to_bytes()
    hostile = stories.whole()
    hostile["documents"]["lab"]["name"] = "clinic' of 'lab"
    hostile["documents"]["data"] |= {"name": "\u202eataD\x9b2J", "labels": {"\U000e0001": "\x1b[2J\r"}}
    hostile["statements"][1] |= {"reason": "\x1b]0;x\x07\u2028"}
    forged = stories.whole()
    forged["statements"][1]["by"] = "lab"
    everything = {"documents": stories.whole()["documents"], "drafts": {}}
    pem = stories.key("clinic").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    trusted = {"schema": "enclave-connectors workflow trusted parties 1", "parties": {"ab" * 32: "lab"}}
    signer = {"schema": "enclave-connectors workflow signer 1", "uri": "ssh-agent:"}
    salted = {"credentials": {"key": MARK}, "salt": "5a" * 32, "schema": "enclave-connectors workflow credentials 1"}
    return {
        **{f"document-{name}": b"\0" + data for name, data in written.items()},
        "envelope": b"\1" + _json(envelopes["decisions"][0]),
        "file-bundle": b"\2" + small,
        "file-archive": b"\2" + drafted,
        "file-party": b"\2" + _party(),
        "bundle": b"\3" + _json(stories.whole()),
        "bundle-small": b"\3" + _SHORT,
        "bundle-forged": b"\3" + _json(forged),
        "bundle-hostile": b"\3" + _json(hostile),
        "archive-draft": b"\4" + _json(stories.drafted()),
        "archive-documents": b"\4" + _json(everything),
        "ccm": b"\5" + _json(stories.CCM),
        "ccm-long-name": b"\5"
        + _json({"config": {"labels": {}, "n" * 800: 1, "app_config": {"m" * 800: dict.fromkeys("abcdefgh", 0)}}}),
        **{f"public-{name}": b"\6" + data for name, data in stories.public_keys().items()},
        "identity-party": b"\7party\n" + _party(),
        "identity-key": b"\7key\n" + pem,
        "identity-trusted": b"\7trusted\n" + _json(trusted),
        "identity-trusted-list": b"\7trusted\n" + _json({**trusted, "parties": [["a", 1]]}),
        "identity-signer": b"\7signer\n" + _json(signer),
        "credentials": b"\7credentials\n" + _json(salted),
        "credentials-spaces": b"\7credentials\n" + _json({**salted, "salt": "5a " * 21 + "5"}),
    }
