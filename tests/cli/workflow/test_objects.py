"""The datasets, applications and app configs of which workflows are made."""

from __future__ import annotations

import json

import pytest
from command_line import KEY
from three_people import MEASUREMENT

from connectors.workflow.documents.kinds import DatasetDocument
from connectors.workflow.store.folder import FolderStore
from connectors.workflow.trust.identities import Identities


def test_credentials_stay_with_their_owner(people):
    clinic = people["clinic"]
    words = ("workflow", "dataset", "Conditions Data", "--location", "https://clinic.example/c", "--direction", "input")
    made = clinic.json(*words, "--credentials", "credentials.json")
    identity = Identities(str(clinic.folder / "identities")).choose(None)
    opened = identity.credentials(made["credentials_digest"])
    assert opened.credentials == json.loads(clinic.read("credentials.json"))
    assert (made["encryption"], made["owner"]) == ("auto", identity.party.digest)
    for path in (clinic.folder / "store").rglob("*.json"):
        assert KEY.lower() not in path.read_text().lower()
        assert "c2lnPTEyMw==" not in path.read_text()
        assert opened.salt.hex() not in path.read_text()
    clinic.run("workflow", "export", "Conditions Data", "--out", "../out.json")
    assert KEY.lower() not in clinic.read("../out.json").decode().lower()


def test_dataset_tells_what_it_is_and_takes_what_a_person_wrote_of_it(people):
    clinic = people["clinic"]
    (clinic.folder / "about.md").write_text("# Conditions\n\n~~old~~ \u200bnew\n")
    credentials = {"query_string": "c2lnPTEyMw==", "encryption": {"key": KEY, "pin": "12" * 32}}
    (clinic.folder / "pinned.json").write_text(json.dumps(credentials))
    clinic.run(
        *("workflow", "dataset", "Conditions", "--location", "https://clinic.example/c", "--direction", "both"),
        *("--credentials", "pinned.json", "--long-description", "about.md", "--description", "of patients"),
        *("--label", "Location=East US", "--label", "k=v=w", "--group", "north"),
    )
    text = clinic.run("workflow", "show", "Conditions")
    for part in ("of patients", "    # Conditions", "    k  'v=w'", f"pin  {'12' * 32}", "~~old~~ \\u200bnew"):
        assert part in text
    shown = clinic.json("workflow", "show", "Conditions")
    assert (shown["labels"], shown["group"]) == ({"Location": "East US", "k": "v=w"}, "north")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--direction", "sideways"], "direction: Input should be 'input', 'output' or 'both'"),
        (["--label", "x"], "--label expects NAME=VALUE, each name once"),
        (["--label", "x=1", "--label", "x=2"], "--label expects NAME=VALUE, each name once"),
        (["--long-description", "http://x.example/about.md"], "use https://"),
        (["--long-description", "nowhere.md"], "there is no long description 'nowhere.md'"),
        (["--credentials", "nowhere.json"], "there is no credentials document"),
        (["--location", "https://clinic.example/c?sig=5EC2E7"], "location"),
        (["--as", "eve"], "there is no identity 'eve'; there are clinic"),
        (["--group", "a\nb"], "group: it must be one line of text"),
    ],
    ids=["direction", "label", "label twice", "URL", "no text", "no credentials", "query", "nobody", "two lines"],
)
def test_dataset_that_breaks_a_rule_is_not_kept(people, words, message):
    clinic = people["clinic"]
    given = {"--location": "https://clinic.example/c", "--direction": "input", "--credentials": "credentials.json"}
    rest = [word for name, value in given.items() if name not in words for word in (name, value)]
    found = clinic.mistake("workflow", "dataset", "x", *rest, *words)
    assert message in found
    assert "5EC2E7" not in found
    assert list(FolderStore(str(clinic.folder / "store")).documents(DatasetDocument)) == []
    assert not (clinic.folder / "identities" / "clinic" / "credentials").exists()


def test_credentials_that_are_not_good_are_not_committed_to(people):
    clinic = people["clinic"]
    (clinic.folder / "bad.json").write_text('{"query_string": "c2lnPTEyMw==", "encryption": {"key": "5EC2E7"}}')
    words = ("workflow", "dataset", "x", "--location", "https://clinic.example/c", "--direction", "input")
    message = clinic.mistake(*words, "--credentials", "bad.json")
    assert message.startswith("bad.json: credentials.encryption.key: a key is 64 hexadecimal digits")
    assert not (clinic.folder / "identities" / "clinic" / "credentials").exists()


def test_build_has_to_be_named_where_there_are_several(people):
    lab = people["lab"]
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    builds = ("--build", f"sgx={'AB' * 32}", "--build", f"snp={'cd' * 48}", "--debug-build", f"simulated={'ef' * 32}")
    made = lab.json("workflow", "application", "Describe", "--image", image, *builds)
    assert [build["measurement"][:2] for build in made["builds"]] == ["ab", "cd", "ef"]
    words = ("workflow", "app-config", "x", "--application", "Describe", "--port", "input")
    message = lab.mistake(*words)
    assert message == (
        "choose a build of 'Describe' by the first digits of its measurement, --measurement HEX: "
        "sgx abababababab, snp cdcdcdcdcdcd, simulated efefefefefef"
    )
    assert lab.json(*words, "--measurement", "ef")["build"]["measurement"] == "ef" * 32
    lab.run("workflow", "new", "w")
    lab.run("workflow", "add", "w", "describe", "x")
    text = lab.run("workflow", "show", "w")
    assert "simulated, which gives no protection, a debug build, whose memory the host can read" in text
    for more, problem in (
        (["--image", "describe:latest", "--build", f"sgx={'ab' * 32}"], "image"),
        (["--image", image], "builds"),
        (["--image", image, "--build", "sgx"], "--build expects PLATFORM=MEASUREMENT"),
        (["--image", image, "--build", "sgx=ab"], "builds.0.measurement"),
        (["--image", image, "--build", f"tpm={'ab' * 32}"], "builds.0.platform"),
    ):
        assert problem in lab.mistake("workflow", "application", "y", *more)


def test_app_config_items_stay_out_of_the_places_of_ports(people):
    lab = people["lab"]
    image = f"registry.example/describe@sha256:{'cd' * 32}"
    lab.run("workflow", "application", "Describe", "--image", image, "--build", f"sgx={MEASUREMENT}")
    words = ("workflow", "app-config", "x", "--application", "Describe", "--port", "input")
    (lab.folder / "file").write_text("x")
    for path in ("input/x", "../x", "/x", "app-config.json", "a/../b"):
        assert "items: a path must be relative" in lab.mistake(*words, "--item", f"{path}=file")
    assert lab.json(*words, "--item", "a/b=file")["items"] == {"a/b": {"contents": "eA=="}}
    assert "the store has no application 'Nobody'" in lab.mistake(*words[:-4], "--application", "Nobody", "--port", "p")
