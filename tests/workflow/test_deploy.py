"""An approved application's folder: laid down whole, from what was approved, and read by the SDK."""

from __future__ import annotations

import base64
import json
import os
import pickle
from pathlib import Path

import pytest
from command_line import connectors as command
from parties import MEASUREMENT, NOW, bundle_of, decided, edge, story, submitted

import connectors
from connectors.errors import InvalidDocument, NotApproved, ObjectExists, ObjectNotFound
from connectors.workflow.deploy import deploy, folder_files
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import OpenedCredentials, commit, matches
from connectors.workflow.documents.kinds import Connected, Item, Workflow
from connectors.workflow.documents.requests import make_request
from connectors.workflow.documents.runtime import RuntimeConfig, runtime_config

KEY = "5a" * 32


class Deployment:
    """The story with datasets on this machine, approved by all."""

    def __init__(self, folder: Path) -> None:
        self.told, workflow = story()
        self.root = folder / "rw"
        self.opened: dict[str, OpenedCredentials] = {}
        objects = dict(workflow.objects)
        for name in ("conditions", "result"):
            dataset = self.told.documents[objects[name].dataset]
            credentials = OpenedCredentials({"encryption": {"key": KEY, "format": dataset.encryption}})
            here = dataset.model_copy(
                update={"location": f"file://{folder}/{name}.sealed", "credentials_digest": credentials.digest}
            )
            self.opened[self.told.add(here)] = credentials
            objects[name] = Connected(dataset=here.digest)
        app = self.told.documents[objects["describe"].app]
        items = {"settings/limits.txt": Item(contents=base64.b64encode(b"ten").decode())}
        objects["describe"] = Connected(app=self.told.add(app.model_copy(update={"items": items})))
        self.workflow = Workflow(name="Here", objects=objects, edges=workflow.edges)
        self.request = make_request(
            self.workflow, self.told.documents, self.told.lab.party, created=NOW, allow_local=True
        )
        people = (self.told.clinic, self.told.lab, self.told.receiver)
        self.bundle = bundle_of(self.request, *(decided(self.request, who) for who in people))
        self.trusted = {who.party.digest for who in people}
        self.identifier = runtime_config(self.request, "describe").identifier

    def run(self, **changes) -> RuntimeConfig:
        options = {
            "bundle": self.bundle,
            "trusted": self.trusted,
            "identifier": self.identifier,
            "measurement": MEASUREMENT,
            "platform": "simulated",
            "debug": False,
            "allow_local": True,
            "release": lambda _: self.opened,
            "root": str(self.root),
        }
        return deploy(**{**options, **changes}, now=NOW)


@pytest.fixture
def deployment(tmp_path) -> Deployment:
    return Deployment(tmp_path)


def test_the_folder_is_read_and_written_as_approved(deployment, tmp_path):
    config = deployment.run()
    app = connectors.load(deployment.root)
    assert {port: sorted(app[port]) for port in app} == {"input": ["conditions"], "output": ["result"]}
    connectors.Dataset(f"file://{tmp_path}/conditions.sealed", {"encryption": {"key": KEY}}).write_bytes(b"38.9")
    assert app["input"]["conditions"].read_bytes() == b"38.9"
    app["output"]["result"].write_bytes(b"one")
    assert (deployment.root / "settings" / "limits.txt").read_bytes() == b"ten"
    assert RuntimeConfig.from_bytes((deployment.root / "app-config.json").read_bytes()) == config
    for folder, _, files in os.walk(deployment.root):
        assert os.stat(folder).st_mode & 0o077 == 0
        assert all(os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0 for name in files)


def test_a_peer_has_a_domain_of_its_own():
    told, workflow = story()
    objects = {**workflow.objects, "second": workflow.objects["describe"]}
    edges = (workflow.edges[0], edge("describe:output", "second:input"), edge("describe:output", "result"))
    in_order = tuple(sorted(edges, key=lambda one: canonical_bytes(one.model_dump(exclude_none=True))))
    request = make_request(Workflow(name="x", objects=objects, edges=in_order), told.documents, told.lab.party)
    identifier = runtime_config(request, "describe").identifier
    files = folder_files(runtime_config(request, "second"), {}, {"describe": identifier})
    assert files["input/describe/application/location.txt"].decode().startswith(f"{identifier[:32]}.")


class TestStops:
    def stops(self, deployment: Deployment, message: str, kind=NotApproved, **changes) -> None:
        before = sorted(deployment.root.parent.iterdir())
        with pytest.raises(kind, match=message):
            deployment.run(**changes)
        assert sorted(deployment.root.parent.iterdir()) == before

    def test_whatever_verification_refuses_and_releases_nothing(self, deployment):
        def release(_):
            raise AssertionError("credentials were released")

        one_missing = bundle_of(deployment.request, *deployment.bundle.decisions[1:])
        self.stops(deployment, "'Clinic A' has not decided", bundle=one_missing, release=release)
        asked_by_another = bundle_of(
            deployment.request,
            *deployment.bundle.decisions,
            submission=submitted(deployment.request, deployment.told.clinic),
        )
        self.stops(deployment, "but the requester is 'Lab B'", bundle=asked_by_another, release=release)
        self.stops(deployment, "has the measurement", measurement="00" * 32, release=release)
        self.stops(deployment, "has no application", identifier="00" * 32, release=release)
        self.stops(deployment, "not among the trusted", trusted=set(), release=release)

    def test_credentials_that_are_missing_or_others(self, deployment):
        name, opened = next(iter(deployment.opened.items()))
        rest = {other: one for other, one in deployment.opened.items() if other != name}
        self.stops(deployment, "input/conditions: .* were not given", release=lambda _: rest)
        for wrong in (
            OpenedCredentials({**opened.credentials, "encryption": {"key": "00" * 32}}, opened.salt),
            OpenedCredentials(opened.credentials),
        ):
            changed = {**deployment.opened, name: wrong}
            self.stops(deployment, "not the ones that its owner committed to", release=lambda _, given=changed: given)

    def test_credentials_that_say_otherwise_than_what_was_approved(self, tmp_path):
        for sealing in (
            None,
            {"key": KEY, "format": "gcm"},
            {"key": KEY, "format": "cobblestone-256", "pin": "00" * 32},
        ):
            folder = tmp_path / str(hash(str(sealing)))
            folder.mkdir()
            other = Deployment(folder)
            opened = OpenedCredentials({"encryption": sealing})
            dataset = other.told.documents[other.workflow.objects["conditions"].dataset]
            lying = dataset.model_copy(update={"credentials_digest": opened.digest})
            objects = {**other.workflow.objects, "conditions": Connected(dataset=other.told.add(lying))}
            workflow = Workflow(name="Here", objects=objects, edges=other.workflow.edges)
            request = make_request(workflow, other.told.documents, other.told.lab.party, created=NOW, allow_local=True)
            people = (other.told.clinic, other.told.lab, other.told.receiver)
            self.stops(
                other,
                "another .* than the approved one",
                bundle=bundle_of(request, *(decided(request, who) for who in people)),
                identifier=runtime_config(request, "describe").identifier,
                release=lambda _, given={**other.opened, lying.digest: opened}: given,
            )

    def test_a_folder_with_something_in_it(self, deployment):
        deployment.root.mkdir()
        deployment.run()
        self.stops(deployment, "already exists and was not changed", ObjectExists)
        self.stops(deployment, "there is no folder", ObjectNotFound, root=str(deployment.root.parent / "no" / "rw"))


class TestCommand:
    @pytest.fixture
    def given(self, deployment, tmp_path) -> list[str]:
        """What the command is given, by somebody who trusts nobody but those that are named."""
        (tmp_path / "bundle.json").write_bytes(deployment.bundle.to_bytes())
        arguments = ["bundle.json", "rw", "--identifier", deployment.identifier, "--measurement", MEASUREMENT]
        arguments += ["--platform", "simulated", "--allow-local"]
        for digest in deployment.trusted:
            arguments += ["--trust", digest]
        for number, opened in enumerate(deployment.opened.values()):
            (tmp_path / f"{number}.json").write_bytes(opened.to_bytes())
            arguments += ["--credentials", f"{number}.json"]
        return arguments

    def test_lays_the_folder_down_for_connectors_run(self, deployment, given, tmp_path):
        home = {"CONNECTORS_IDENTITIES": str(tmp_path / "identities")}
        connectors.Dataset(f"file://{tmp_path}/conditions.sealed", {"encryption": {"key": KEY}}).write_bytes(b"38.9")
        told = json.loads(command("workflow", "deploy", *given, "--json", cwd=tmp_path, **home).text)
        assert told["ports"] == {"input": ["conditions"], "output": ["result"]}
        assert command("run", "--app-config", "rw", "--", "cat", cwd=tmp_path).code == 0
        document = {"encryption": {"key": KEY}}
        result = json.loads(connectors.Dataset(f"file://{tmp_path}/result.sealed", document).read_bytes())
        assert base64.b64decode(result["stdout"]) == b"38.9"

    def test_says_what_is_amiss_and_leaves_nothing(self, given, tmp_path):
        home = {"CONNECTORS_IDENTITIES": str(tmp_path / "identities")}
        for change, message in (
            (given[:-2], "were not given"),
            (["bundle.json", "rw", *given[2:9]], "not among the trusted parties"),
            (["bundle.json", "rw", "--identifier", "00" * 32, *given[4:]], "has no application"),
        ):
            told = command("workflow", "deploy", *change, cwd=tmp_path, **home)
            assert message in told.err
            assert told.code != 0
            assert not (tmp_path / "rw").exists()


class TestCommitment:
    def test_opens_with_its_salt_alone(self):
        opened = OpenedCredentials({"encryption": None, "type": "s3"})
        assert matches(opened, opened.digest)
        assert not matches(OpenedCredentials(opened.credentials), opened.digest)
        assert OpenedCredentials.from_bytes(opened.to_bytes()) == opened
        assert opened.digest == commit({"type": "s3", "encryption": None}, opened.salt)

    def test_shows_nothing(self):
        opened = OpenedCredentials({"encryption": {"key": KEY}})
        assert KEY not in repr(opened)
        with pytest.raises(TypeError):
            pickle.dumps(opened)

    @pytest.mark.parametrize(
        "members",
        [{}, {"salt": "00" * 32}, {"salt": "00", "credentials": {}}, {"salt": "zz" * 32, "credentials": {}}, {"salt": "00" * 32, "credentials": []}],
    )  # fmt: skip
    def test_is_read_strictly(self, members):
        data = json.dumps(
            {"schema": "enclave-connectors workflow credentials 1", **members}, sort_keys=True, separators=(",", ":")
        )
        with pytest.raises(InvalidDocument):
            OpenedCredentials.from_bytes(data.encode())
