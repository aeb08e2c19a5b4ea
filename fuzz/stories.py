"""Builds workflow documents from a short form, in which digests, keys and signatures fit.

A changed byte in a request breaks a digest, and the parsers stop there. In the short form, documents have names, and
what depends on their bytes is computed, so that changes reach what is behind the digests::

    {"documents": {"clinic": {"kind": "party", ...}, "data": {"kind": "dataset", "owner": "@clinic", ...}, ...},
     "request": {"workflow": "@flow", "requester": "@clinic", "created": ..., "expires": ...},
     "statements": [{"kind": "submission", "party": "clinic", "when": ...}, ...],
     "drafts": {name: {"workflow": {...}, "history": [...]}}}

In values, ``@name`` is the digest of a document above, ``#name`` a public key, and ``~ab`` 32 times these two digits.
"""

from __future__ import annotations

import base64
import functools
import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from connectors.errors import InvalidDocument
from connectors.workflow.documents.canonical import canonical_bytes, digest_of

__all__ = ["CCM", "archive", "bundle", "drafted", "key", "opened", "public", "public_keys", "small", "whole"]

_SCHEMA = "enclave-connectors workflow {} 1"
_NESTED = 400
_LISTS = {"submission": "submission", "decision": "decisions", "revocation": "revocations"}


@functools.cache
def key(name: str) -> Ed25519PrivateKey:
    """Return the private key of a name, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(sha256(name.encode("utf-8", "surrogatepass")).digest())


def public(name: str) -> dict[str, str]:
    """Return the public key of a name, as a party's document has it."""
    return {"keytype": "ed25519", "scheme": "ed25519", "public": key(name).public_key().public_bytes_raw().hex()}


def public_keys() -> dict[str, bytes]:
    """Return public keys: a type, a scheme and the key, on three lines; or one in OpenSSH or PEM format."""
    curve = derive_private_key(0x5A, SECP256R1()).public_key()
    modulus = RSAPublicNumbers(65537, (1 << 2047) | 1).public_key()
    pem = curve.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "ed25519": f"ed25519\ned25519\n{public('clinic')['public']}".encode(),
        "ed25519-small": b"ed25519\ned25519\n01" + b"00" * 31,
        "ecdsa": b"ecdsa\necdsa-sha2-nistp256\n" + pem,
        "rsa": b"rsa\nrsassa-pss-sha256\n" + modulus.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "openssh": key("clinic").public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH),
        "pem": pem,
    }


def opened(data: bytes) -> dict[str, Any]:
    """Parse the short form.

    Raises:
        InvalidDocument: it is not an object of objects, which is the fuzzer's mistake and nobody else's.
    """
    try:
        members = json.loads(data) if data.count(b"[") + data.count(b"{") < _NESTED else None
    except ValueError:
        members = None
    if not isinstance(members, dict) or not _is_map(members.get("documents")):
        message = "not the short form"
        raise InvalidDocument(message)
    return members


def _is_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(one, dict) for one in value.values())


def bundle(members: dict[str, Any]) -> bytes:
    """Return a bundle: the request with all documents, and the statements, signed by those whom they name."""
    documents, digests = _documents(members)
    request: dict[str, Any] = _filled(_object(members, "request"), digests)
    owners = sorted({str(one["owner"]) for one in documents.values() if "owner" in one})
    request = {"schema": _SCHEMA.format("request"), "documents": documents, "approvers": owners} | request
    about = digest_of(canonical_bytes(request))
    made: dict[str, Any] = {"schema": _SCHEMA.format("bundle"), "request": request, "decisions": [], "revocations": []}
    statements = members.get("statements")
    for one in statements if isinstance(statements, list) else []:
        envelope, where = _signed(one if isinstance(one, dict) else {}, about, digests)
        if where == "submission":
            made[where] = envelope
        else:
            made[where].append(envelope)
    return canonical_bytes(made)


def archive(members: dict[str, Any]) -> bytes:
    """Return an archive: the documents, and drafts of them."""
    documents, digests = _documents(members)
    drafts = {name: _filled(one, digests) for name, one in _object(members, "drafts").items()}
    for one in drafts.values():
        if isinstance(one, dict):
            one.setdefault("schema", _SCHEMA.format("draft"))
    return canonical_bytes({"schema": _SCHEMA.format("parcel"), "documents": documents, "drafts": drafts})


def _object(members: dict[str, Any], name: str) -> dict[str, Any]:
    found = members.get(name)
    return found if isinstance(found, dict) else {}


def _documents(members: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    documents: dict[str, Any] = {}
    digests: dict[str, str] = {}
    for name, given in members["documents"].items():
        one = _filled({member: value for member, value in given.items() if member != "kind"}, digests)
        one = {"schema": _SCHEMA.format(given.get("kind")), **one}
        digests[name] = digest_of(canonical_bytes(one))
        documents[digests[name]] = one
    return documents, digests


def _filled(value: Any, digests: dict[str, str]) -> Any:
    """Return a value with what its short texts stand for."""
    if isinstance(value, dict):
        return {name: _filled(one, digests) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, digests) for one in value]
    if isinstance(value, str) and value[:1] == "@":
        return digests.get(value[1:], value)
    if isinstance(value, str) and value[:1] == "#":
        return public(value[1:])["public"]
    return value[1:] * 32 if isinstance(value, str) and value[:1] == "~" else value


def _signed(given: dict[str, Any], about: str, digests: dict[str, str]) -> tuple[dict[str, Any], str]:
    """Return a statement in an envelope, and where a bundle has it."""
    kind, who = str(given.get("kind")), str(given.get("party"))
    rest = {name: value for name, value in given.items() if name not in ("kind", "party", "by")}
    statement = {"schema": _SCHEMA.format(kind), "request": about, "party": digests.get(who, who), **rest}
    payload, what = canonical_bytes(statement), f"application/vnd.enclave-connectors.{kind}.v1+json".encode()
    signer = str(given.get("by") or who)
    signature = key(signer).sign(b"DSSEv1 %d %b %d %b" % (len(what), what, len(payload), payload))
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": what.decode(),
        "signatures": [
            {"keyid": digest_of(canonical_bytes(public(signer))), "sig": base64.b64encode(signature).decode()}
        ],
    }, _LISTS.get(kind, "decisions")


def _party(name: str, **more: str) -> dict[str, Any]:
    key = {"keytype": "ed25519", "scheme": "ed25519", "public": f"#{name}"}
    return {"kind": "party", "name": name, "contact": "x", "keys": [key], **more}


def whole() -> dict[str, Any]:
    """Return a clinic's dataset that goes through a lab's application into another dataset of the clinic."""
    dataset = {"kind": "dataset", "owner": "@clinic", "credentials_digest": "~01", "labels": {"Ort": "Süd"}}
    documents: dict[str, dict[str, Any]] = {
        "clinic": _party("clinic", group="g"),
        "lab": _party("lab"),
        "data": {**dataset, "name": "Data", "location": "s3://a/b", "direction": "input", "long_description": "# a\nb"},
        "out": {
            **dataset,
            "name": "Out",
            "location": "gs://a/b",
            "direction": "both",
            "encryption": "auto",
            "pin": "~02",
        },
        "tool": {
            "kind": "application",
            "name": "Describe",
            "owner": "@lab",
            "image": f"x/describe@sha256:{'cd' * 32}",
            "builds": [{"platform": "sgx", "measurement": "~ab", "debug": True}],
        },
        "app": {
            "kind": "app config",
            "name": "App",
            "owner": "@lab",
            "build": {"application": "@tool", "measurement": "~ab"},
            "ports": ["in", "out"],
            "labels": {},
            "items": {"a/b.txt": {"contents": "aHVudGVyMg=="}},
        },
    }
    documents["flow"] = {
        "kind": "workflow",
        "name": "Flow",
        "version": 1,
        "objects": {"app": {"app": "@app"}, "data": {"dataset": "@data"}, "out": {"dataset": "@out"}},
        "edges": [
            {"source": {"id": "app", "port": "out"}, "target": {"id": "out"}},
            {"source": {"id": "data"}, "target": {"id": "app", "port": "in"}},
        ],
    }
    when = "2026-03-01T12:00:00Z"
    return {
        "documents": documents,
        "request": {"workflow": "@flow", "requester": "@lab", "created": when, "expires": "2126-03-01T12:00:00Z"},
        "statements": [
            {"kind": "submission", "party": "lab", "when": when},
            {"kind": "decision", "party": "clinic", "when": when, "verdict": "approve", "reason": "a"},
            {"kind": "decision", "party": "lab", "when": when, "verdict": "decline", "reason": "b\nc"},
            {"kind": "revocation", "party": "clinic", "when": when, "reason": "d"},
        ],
    }


def drafted() -> dict[str, Any]:
    """Return a draft of it, with a place that the lab has not filled yet."""
    told = whole()
    flow = {name: value for name, value in told["documents"].pop("flow").items() if name != "kind"}
    place = {"reserved_for": "@lab", "wanted": "dataset", "purpose": "a"}
    flow["objects"]["out"] = place
    del told["documents"]["out"]
    return {"documents": told["documents"], "drafts": {"x": {"workflow": flow, "history": ["~03"]}}}


def small() -> dict[str, Any]:
    """Return one party's workflow, whose bundle is smaller than the fuzzer's longest input."""
    told = whole()
    documents = told["documents"]
    for name in ("lab", "out"):
        del documents[name]
    for one in documents.values():
        one.update({"owner": "@clinic"} if "owner" in one else {})
    for name, member in (("data", "long_description"), ("clinic", "group")):
        del documents[name][member]
    documents["flow"]["objects"].pop("out")
    documents["flow"]["edges"].pop(0)
    told["request"]["requester"] = "@clinic"
    told["statements"] = [{**one, "party": "clinic"} for one in told["statements"][:2]]
    return told


_ID = "0a0b0c0d-0000-4000-8000-000000000001"
CCM = {
    "config": {
        "app_config": {"/opt/fortanix/enclave-os/app-config/rw/a/b.txt": {"contents": "aHVudGVyMg=="}, "c": {}},
        "labels": {"Ort": "Süd", "a": "b"},
        "zone_ca": ["b", "a", "b"],
        "workflow": {
            "workflow_id": _ID,
            "app_name": "a",
            "port_map": {
                "out": {"peer": {"application": {"acct_id": _ID}}},
                "in": {"data": {"dataset": {"id": _ID, "group_id": _ID}}},
            },
            "app_acct_id": _ID,
        },
    },
    "extra": {
        "connections": {
            "in": {"data": {"dataset": {"location": "s3://a/b", "credentials": {"sdkms": {"x": 1}}}}},
            "out": {"peer": {"application": {"workflow_domain": "peer.example"}}},
        }
    },
}
