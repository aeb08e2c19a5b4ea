"""Forgers: what somebody who passes a bundle on can do to it, from a changed letter to a workflow of their own.

A lie changes what a bundle says. Then the forger makes an effort: all digests fit again, the identifier is reckoned anew,
what parties have said is about the new request, and is signed with the forger's own keys, or by one of the parties, who
may be the forger. What was truly signed is kept account of, to tell what may be accepted after all.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from changes import closed, envelopes, opened, refit
from generated_workflows import Agreed, agreed, some
from hypothesis import reject
from parties import NOW, Person, person
from securesystemslib.dsse import Envelope as Dsse

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of
from connectors.workflow.documents.kinds import Decision, Revocation
from connectors.workflow.documents.model import moment_text
from connectors.workflow.documents.runtime import RuntimeConfig, runtime_configs
from connectors.workflow.trust.signing import public_key_of, sign
from connectors.workflow.trust.verification import Bundle

if TYPE_CHECKING:
    from collections.abc import Iterable

    from connectors.workflow.documents.model import Document

__all__ = ["EFFORTS", "LATER", "MALLORY", "Forger", "key_of", "sealed"]

Members = dict[str, Any]
MALLORY = person("Mallory")
LATER = "2026-06-01T00:00:00Z"
"""After all requests have expired."""

EFFORTS = (
    "nothing more",
    "digests fit",
    "decisions are about it",
    "signed with own keys",
    "signed with own keys under others' names",
    "parties of the same names",
    "signed by an insider",
    "approved by an insider alone",
)


def sealed(envelope: Members, signer: Any, keyid: str | None = None) -> Members:
    """Return an opened envelope signed by somebody else; under the name of another key, if one is given."""
    dsse = Dsse(canonical_bytes(envelope["payload"]), envelope["payloadType"], {})
    signature = base64.b64encode(bytes.fromhex(signer.sign(dsse.pae()).signature)).decode()
    return {**envelope, "signatures": [{"keyid": keyid or public_key_of(signer).keyid, "sig": signature}]}


def said(document: Document, signer: Any) -> Members:
    """Return what somebody truly says, in an opened envelope."""
    envelope = sign(document, signer).model_dump(mode="json", by_alias=True)
    return {**envelope, "payload": document.members()}


def key_of(name: str) -> Members:
    """Return somebody's public key."""
    return person(name).party.keys[0].model_dump(mode="json")


def owners_in(request: Members) -> set[str]:
    """Return whose what is in a request is, from its JSON alone."""
    documents = request["documents"]
    found = set()
    for one in documents[request["workflow"]]["objects"].values():
        document = documents[one.get("dataset") or one["app"]]
        found.add(document["owner"])
        if "build" in document:
            found.add(documents[document["build"]["application"]]["owner"])
    return found


class Forger:
    """Somebody who has a bundle in hand.

    Attributes:
        draw: hypothesis's.
        agreed: what the bundle was.
        members: what it is, as JSON, with its envelopes opened.
        names: what a refusal is to name, one of it at least; nothing in particular, if empty.
        signed: the opened envelopes that parties have truly signed.
    """

    def __init__(self, draw: Any, true: Agreed) -> None:
        self.draw = draw
        self.agreed = true
        self.members = opened(true.members())
        self.names: set[str] = set()
        self.signed: set[bytes] = set()
        self.know(envelopes(self.members))

    def know(self, said: Iterable[Members]) -> None:
        """Take account of what parties have truly signed."""
        self.signed |= {canonical_bytes(envelope) for envelope in said}

    # What is in hand

    @property
    def request(self) -> Members:
        """The request."""
        return self.members["request"]

    @property
    def decisions(self) -> list[Members]:
        """The decisions, opened."""
        return self.members["decisions"]

    @property
    def documents(self) -> dict[str, Members]:
        """The documents of the request, by the digests that they had."""
        return self.request["documents"]

    @property
    def workflow(self) -> Members:
        """The workflow of the request."""
        return self.documents[self.request["workflow"]]

    @property
    def digest(self) -> str:
        """The digest that the request has now."""
        return digest_of(canonical_bytes(self.request))

    def pick(self, choices: Iterable[Any]) -> Any:
        """Return one of several things; where there is none, there is no such lie to tell."""
        listed = list(choices)
        return self.draw(some(*listed)) if listed else reject()

    def one_of(self, kind: type[Document]) -> Members:
        """Return a document of a kind, which a refusal is to name."""
        digest = self.pick(digest for digest, one in self.documents.items() if one["schema"] == kind.schema_name())
        self.names.add(digest)
        return self.documents[digest]

    def put(self, members: Members) -> str:
        """Add a document."""
        digest = digest_of(canonical_bytes(members))
        self.documents[digest] = members
        return digest

    def someone(self) -> Person:
        """Return one of those who have decided, whom a refusal is to name."""
        who = self.agreed.people[self.pick(self.agreed.request.approvers)]
        self.names |= {who.party.name, who.party.digest}
        return who

    def place_of(self, who: Person) -> int:
        """Return where somebody's decision stands."""
        return next(place for place, one in enumerate(self.decisions) if one["payload"]["party"] == who.party.digest)

    def says(self, who: Person, verdict: str = "approve", **members: Any) -> Members:
        """Return what somebody truly says to the request as it was."""
        given = {"request": self.agreed.request.digest, "when": moment_text(NOW), "reason": None, **members}
        if verdict == "decline":
            given["reason"] = "no"
        envelope = said(Decision(party=who.party.digest, verdict=verdict, **given), who.signer)
        self.know([envelope])
        return envelope

    def revokes(self, who: Person) -> Members:
        """Return a true revocation of the request as it was."""
        given = {"request": self.agreed.request.digest, "when": moment_text(NOW), "reason": "moved"}
        envelope = said(Revocation(party=who.party.digest, **given), who.signer)
        self.know([envelope])
        return envelope

    def another(self) -> Members:
        """Return another workflow that the same parties have agreed to."""
        other = opened(self.draw(agreed(tuple(self.agreed.people.values()))).members())
        self.know(envelopes(other))
        return other

    # The effort

    def make_fit(self, effort: str) -> None:
        """Make the bundle look as if it had always been like this, so that a refusal can name nothing that was changed."""
        if effort == "nothing more":
            return
        self.names.clear()
        if effort == "parties of the same names":
            for digest, who in self.agreed.people.items():
                if digest in self.documents:
                    self.documents[digest] = {**who.party.members(), "keys": [key_of(f"{who.party.name}, forged")]}
        self.members, fresh = refit(self.members)
        if effort == "digests fit":
            return
        insider = self.agreed.people[self.pick(self.agreed.request.approvers)]
        if effort == "approved by an insider alone":
            digest = fresh.get(insider.party.digest, insider.party.digest)
            self.request["approvers"] = [digest]
            decision = Decision(request=self.digest, party=digest, verdict="approve", when=moment_text(NOW))
            self.members["decisions"] = [said(decision, insider.signer)]
        fresh[self.agreed.request.digest] = self.digest
        for envelope in envelopes(self.members):
            self._restate(envelope, effort, fresh, insider)

    def _restate(self, envelope: Members, effort: str, fresh: dict[str, str], insider: Person) -> None:
        """Have an envelope be about the request as it is now."""
        text = json.dumps(envelope["payload"])
        for was, now in fresh.items():
            text = text.replace(was, now)
        envelope["payload"] = json.loads(text)
        keyid = envelope["signatures"][0]["keyid"]
        who = next(
            (one for one in self.agreed.people.values() if keyid in [key.keyid for key in one.party.keys]), MALLORY
        )
        if "insider" in effort and who is not insider:
            effort = self.draw(some(*EFFORTS[2:5]))
        match effort:
            case "signed with own keys":
                envelope.update(sealed(envelope, MALLORY.signer))
            case "signed with own keys under others' names":
                envelope.update(sealed(envelope, MALLORY.signer, keyid))
            case "parties of the same names":
                envelope.update(sealed(envelope, person(f"{who.party.name}, forged").signer))
            case "signed by an insider" | "approved by an insider alone":
                envelope.update(sealed(envelope, insider.signer))
                self.know([envelope])

    # What came of it

    def to_bytes(self) -> bytes:
        """Return the bundle as the forger passes it on."""
        return canonical_bytes(closed(self.members))

    def configs(self) -> dict[str, RuntimeConfig]:
        """Return what the forger would like applications to run on, as far as it holds together, by identifiers."""
        try:
            return {
                config.identifier: config
                for config in runtime_configs(Bundle.from_bytes(self.to_bytes()).request).values()
            }
        except InvalidDocument:
            return {}

    def is_approved(self, config: RuntimeConfig) -> bool:
        """Tell whether all have truly signed what a share is of, and nobody anything against it, by what is in hand."""
        if self.members["revocations"] or any(one["payload"]["verdict"] != "approve" for one in self.decisions):
            return False
        if not {canonical_bytes(one) for one in envelopes(self.members)} <= self.signed:
            return False
        approving = {
            one["payload"]["party"]
            for one in self.decisions
            if one["payload"]["request"] == self.digest and one["payload"]["when"] <= self.request["expires"]
        }
        true = self.agreed.configs.get(config.identifier, config)
        return owners_in(self.request) <= approving and config.request == self.digest and config == true
