"""Lies: what a forger can change in a bundle, by what it is called."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from changes import Path, change, named, opened
from forgeries import LATER, MALLORY, Forger, key_of, sealed
from generated_workflows import DIGESTS, LOCATIONS, MEASUREMENTS, lines, some

from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.kinds import AppConfigDocument, Application, DatasetDocument, Party

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ANYWHERE", "LIES"]

Members = dict[str, Any]
ANYWHERE = "a member anywhere"
LIES: dict[str, Callable[[Forger], None]] = {}
"""What can be changed. One that finds nothing to change rejects the example."""


def lie(name: str) -> Callable[[Callable[[Forger], None]], Callable[[Forger], None]]:
    """Register a lie."""

    def register(tell: Callable[[Forger], None]) -> Callable[[Forger], None]:
        LIES[name] = tell
        return tell

    return register


# Anything anywhere


AREAS: dict[str, Callable[[Path], bool]] = {
    "a document": lambda path: path[:2] == ("request", "documents") and len(path) > 2,
    "the request": lambda path: path[0] == "request" and len(path) <= 3,
    "what is signed": lambda path: path[0] not in ("request", "schema") and len(path) > 1,
    "the bundle": lambda path: len(path) == 1,
}
"""Places, of which there are many of some kinds and few of others."""


@lie(ANYWHERE)
def _(forger: Forger) -> None:
    before = opened(forger.agreed.members())
    path, members = change(forger.draw, forger.members, AREAS[forger.draw(some(*AREAS))])
    people = {digest: one.party.name for digest, one in forger.agreed.people.items()}
    forger.names = members | named(before, path, people)


@lie("a member of a document")
def _(forger: Forger) -> None:
    _, forger.names = change(forger.draw, forger.members, AREAS["a document"])


# What was decided


@lie("a decision is dropped")
def _(forger: Forger) -> None:
    del forger.decisions[forger.place_of(forger.someone())]


@lie("a decision stands twice")
def _(forger: Forger) -> None:
    who = forger.someone()
    forger.decisions.append(forger.pick([forger.decisions[forger.place_of(who)], forger.says(who, reason="again")]))


@lie("decisions are in another order")
def _(forger: Forger) -> None:
    forger.members["decisions"] = list(forger.draw(some(forger.decisions[::-1], sorted(forger.decisions, key=str))))


@lie("two signatures are exchanged")
def _(forger: Forger) -> None:
    first, second = (forger.place_of(forger.someone()) for _ in range(2))
    ones = forger.decisions[first], forger.decisions[second]
    ones[0]["signatures"], ones[1]["signatures"] = ones[1]["signatures"], ones[0]["signatures"]


@lie("decisions are over another request")
def _(forger: Forger) -> None:
    others = forger.another()["decisions"]
    forger.names |= {one["payload"]["request"] for one in (*others, *forger.decisions)}
    if len(forger.names) == 1:  # the other one happens to be the same, and somebody has said it twice
        forger.names |= {one.party.name for one in forger.agreed.people.values()}
    chosen = forger.pick(others)
    place = forger.pick(range(len(forger.decisions)))
    if forger.draw(some(True, False)):
        forger.decisions[place] = chosen
    else:
        forger.members["decisions"] = forger.pick([others, [*forger.decisions, *others]])


@lie("a decision is signed with another's key")
def _(forger: Forger) -> None:
    who = forger.someone()
    signer = forger.pick([*(one for one in forger.agreed.people.values() if one is not who), MALLORY]).signer
    envelope = forger.decisions[forger.place_of(who)]
    keyid = forger.pick([None, envelope["signatures"][0]["keyid"]])
    forger.decisions[forger.place_of(who)] = sealed(envelope, signer, keyid)


@lie("a decline becomes an approval")
def _(forger: Forger) -> None:
    who = forger.someone()
    envelope = forger.says(who, "decline")
    envelope["payload"]["verdict"] = "approve"
    if forger.draw(some(True, False)):
        del envelope["payload"]["reason"]
    forger.decisions[forger.place_of(who)] = envelope


@lie("one has declined")
def _(forger: Forger) -> None:
    who = forger.someone()
    forger.decisions[forger.place_of(who)] = forger.says(who, "decline")


@lie("one has approved too late")
def _(forger: Forger) -> None:
    who = forger.someone()
    forger.names.add(forger.request["expires"])
    forger.decisions[forger.place_of(who)] = forger.says(who, when=LATER)


@lie("a stranger approves")
def _(forger: Forger) -> None:
    stranger = forger.says(MALLORY)
    forger.names |= {stranger["payload"]["party"]}
    place = forger.pick(range(len(forger.decisions) + 1))
    if forger.draw(some(True, False)):
        forger.decisions.insert(place, stranger)
    else:
        who = forger.someone()
        forger.decisions[forger.place_of(who)] = stranger


@lie("one has revoked")
def _(forger: Forger) -> None:
    forger.members["revocations"].append(forger.revokes(forger.someone()))


@lie("a revocation is changed")
def _(forger: Forger) -> None:
    who = forger.someone()
    revocation = forger.revokes(who)
    revocation["payload"]["reason"] = "x"
    forger.members[forger.pick(["revocations", "decisions"])].append(revocation)
    forger.names |= {"revocation"}


@lie("a revocation passes for an approval")
def _(forger: Forger) -> None:
    who = forger.someone()
    forger.names |= {"revocation", "decision"}
    forger.decisions[forger.place_of(who)] = forger.revokes(who)


@lie("a stranger revokes")
def _(forger: Forger) -> None:
    forger.members["revocations"].append(forger.revokes(MALLORY))
    forger.names |= {MALLORY.party.digest}


# Who they are


@lie("a party has another key")
def _(forger: Forger) -> None:
    forger.one_of(Party)["keys"] = [key_of("Mallory")]


@lie("a party has a key more")
def _(forger: Forger) -> None:
    forger.one_of(Party)["keys"].insert(0, key_of("Mallory"))


@lie("another party takes the place of one")
def _(forger: Forger) -> None:
    party = forger.one_of(Party)
    party.update({**MALLORY.party.members(), "name": forger.pick(["Mallory", party["name"]])})


@lie("an owner is another party")
def _(forger: Forger) -> None:
    mallory = forger.put(MALLORY.party.members())
    forger.names.add(mallory)
    forger.one_of(forger.pick([DatasetDocument, Application, AppConfigDocument]))["owner"] = forger.pick(
        [*forger.agreed.people, mallory]
    )


@lie("the requester is another party")
def _(forger: Forger) -> None:
    mallory = forger.put(MALLORY.party.members())
    forger.request["requester"] = forger.pick([*forger.agreed.people, mallory])


@lie("one party has all")
def _(forger: Forger) -> None:
    who = forger.someone().party.digest
    for digest, one in [*forger.documents.items()]:
        if one["schema"] == Party.schema_name() and digest != who:
            del forger.documents[digest]
        elif "owner" in one:
            forger.names.add(digest)
            one["owner"] = who
    forger.request["requester"] = who
    forger.request["approvers"] = [who]


@lie("one is asked less")
def _(forger: Forger) -> None:
    gone = forger.someone().party.digest
    forger.request["approvers"].remove(gone)
    forger.members["decisions"] = [one for one in forger.decisions if one["payload"]["party"] != gone]
    forger.names |= {"approvers"}


@lie("one is asked more")
def _(forger: Forger) -> None:
    forger.request["approvers"] = sorted({*forger.request["approvers"], forger.put(MALLORY.party.members())})


# What is connected


def _resort(forger: Forger) -> None:
    forger.names |= {"edge", forger.request["workflow"]}
    ordered = {canonical_bytes(one): one for one in forger.workflow["edges"]}
    forger.workflow["edges"] = [ordered[data] for data in sorted(ordered)]


@lie("an edge is added")
def _(forger: Forger) -> None:
    objects = forger.workflow["objects"]
    apps = [name for name, one in objects.items() if "app" in one]
    app, other = forger.pick(apps), forger.pick(objects)
    here = {"id": app, "port": forger.pick(forger.documents[objects[app]["app"]]["ports"])}
    there: Members = {"id": other}
    if other in apps:
        there["port"] = forger.pick(forger.documents[objects[other]["app"]]["ports"])
    ends = forger.draw(some((here, there), (there, here)))
    forger.workflow["edges"].append({"source": ends[0], "target": ends[1]})
    _resort(forger)


@lie("an edge is removed")
def _(forger: Forger) -> None:
    forger.workflow["edges"].remove(forger.pick(forger.workflow["edges"]))
    _resort(forger)


@lie("an edge is turned round")
def _(forger: Forger) -> None:
    edge = forger.pick(forger.workflow["edges"])
    edge["source"], edge["target"] = edge["target"], edge["source"]
    _resort(forger)


@lie("an object is added")
def _(forger: Forger) -> None:
    owner = forger.put(MALLORY.party.members()) if forger.draw(some(True, False)) else forger.pick(forger.agreed.people)
    fresh = DatasetDocument(
        name="x", owner=owner, location="s3://mallory/x", direction="both", credentials_digest="00" * 32
    )
    known = list(forger.workflow["objects"].values())
    forger.workflow["objects"]["one more"] = forger.pick([{"dataset": forger.put(fresh.members())}, *known])
    forger.names |= {forger.request["workflow"], fresh.digest}


@lie("an object is removed")
def _(forger: Forger) -> None:
    gone = forger.pick(forger.workflow["objects"])
    del forger.workflow["objects"][gone]
    if forger.draw(some(True, False)):
        forger.workflow["edges"] = [
            edge for edge in forger.workflow["edges"] if gone not in (edge["source"]["id"], edge["target"]["id"])
        ]
    forger.names.add(forger.request["workflow"])


@lie("two objects are exchanged")
def _(forger: Forger) -> None:
    objects = forger.workflow["objects"]
    first, second = forger.pick(objects), forger.pick(objects)
    objects[first], objects[second] = objects[second], objects[first]
    forger.names.add(forger.request["workflow"])


@lie("it is another workflow")
def _(forger: Forger) -> None:
    other = forger.another()["request"]
    forger.names |= {forger.request["workflow"], other["workflow"], forger.agreed.request.digest}
    if forger.draw(some(True, False)):
        forger.names |= {*forger.documents, *other["documents"]}  # those that neither needs are odd
        forger.documents.update(other["documents"])
        forger.request["workflow"] = other["workflow"]
    else:
        forger.members["request"] = other


# What runs, on what


@lie("another build is run")
def _(forger: Forger) -> None:
    app = forger.one_of(AppConfigDocument)
    builds = forger.documents[app["build"]["application"]]["builds"]
    forger.names |= {app["build"]["application"]}
    fresh = forger.pick([*MEASUREMENTS, "66" * 32])
    if fresh not in [build["measurement"] for build in builds] and forger.draw(some(True, False)):
        builds.insert(0, {"platform": "simulated", "measurement": fresh, "debug": True})
    app["build"]["measurement"] = fresh


@lie("a build is measured as another, or is for debugging")
def _(forger: Forger) -> None:
    build = forger.pick(forger.one_of(Application)["builds"])
    change_to = {
        "debug": not build["debug"],
        "platform": forger.pick(["sgx", "simulated"]),
        "measurement": forger.pick(MEASUREMENTS),
    }
    member = forger.pick(change_to)
    build[member] = change_to[member]


@lie("the image is another")
def _(forger: Forger) -> None:
    forger.one_of(Application)["image"] = f"registry.example/x@sha256:{forger.pick(DIGESTS)}"


@lie("a file or a port is another")
def _(forger: Forger) -> None:
    app = forger.one_of(AppConfigDocument)
    if forger.draw(some(True, False)):
        app["items"][forger.pick([*app["items"], "more"])] = {
            "contents": base64.b64encode(forger.pick([b"", b"x"])).decode()
        }
    else:
        app["ports"] = sorted({*app["ports"], "more"})


@lie("a dataset lies elsewhere, or is protected otherwise")
def _(forger: Forger) -> None:
    dataset = forger.one_of(DatasetDocument)
    member, value = forger.pick(
        [
            *(("location", one) for one in (*LOCATIONS, "s3://mallory/x")),
            *((name, one) for name in ("credentials_digest", "pin") for one in DIGESTS),
            *(("direction", one) for one in ("input", "output", "both")),
            ("encryption", "gcm"),
            ("labels", {"approved": "yes"}),
        ]
    )
    dataset[member] = value
    if forger.draw(some(True, False, False)):
        dataset.pop(forger.pick(["pin", "encryption"]), None)


@lie("a description is another")
def _(forger: Forger) -> None:
    forger.one_of(forger.pick([DatasetDocument, Application, AppConfigDocument]))["description"] = forger.draw(lines())


@lie("the times are others")
def _(forger: Forger) -> None:
    member, value = forger.pick(
        [("expires", LATER), ("created", "2026-01-01T00:00:00Z"), ("expires", "2026-03-01T12:00:01Z")]
    )
    forger.request[member] = value
    forger.names |= {member, forger.agreed.request.digest}
