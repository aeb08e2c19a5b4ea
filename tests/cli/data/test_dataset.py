"""The verbs `dataset check` and `dataset new`."""

from __future__ import annotations

import base64
import json
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from command_line import KEY, OTHER_KEY, connectors
from dataset_commands import PLAIN, document, mistake, query

import connectors as sdk
from connectors.cli.data import inspection

# dataset check


def test_good_document_is_described_without_its_values(home, run):
    document(home / "c.json", query_string=query(7000), encryption={"key": KEY, "context": "ward 5EC2E7"})
    done = run("dataset", "check", "c.json")
    assert done.text.splitlines()[:3] == ["c.json: good", "  backend   https", "  format    auto, bound to a context"]
    assert "UTC, in 117 minutes" in done.text
    assert done.err == ""
    assert "5EC2E7" not in done.text
    found = json.loads(run("dataset", "check", "c.json", "--location", "https://clinic.example/o", "--json").out)
    assert (found["good"], found["backend"], found["context"], found["problems"]) == (True, "https", True, [])
    assert found["location"] == "https://clinic.example/o"
    ends = datetime.fromisoformat(found["expires_at"])
    assert timedelta(seconds=6900) < ends - datetime.now(UTC) <= timedelta(seconds=7000)


def test_article_form_and_standard_input_and_an_unsealed_dataset_are_good(home, run):
    document(home / "c.json", query_string="c2lnPTEyMw==\n", encryption={"key": KEY.lower() + "\n"})
    assert "not stated in the document" in run("dataset", "check", "c.json").text
    document(home / "c.json", type="file", encryption=None)
    assert "format    plain (not sealed)" in run("dataset", "check", "c.json").text
    done = connectors("dataset", "check", "-", cwd=home, stdin=(home / "file.json").read_bytes())
    assert (done.code, done.text.splitlines()[0]) == (0, "standard input: good")


PROBLEMS = [
    ('{"query_string": "c2lnPTEyMw==", "encryption": {"key": "5EC2E7"}}', ["encryption.key: a key is 64 hexadecimal"]),
    ('{"query_string": "c2lnPTEyMw=="}', ["encryption: required; if the dataset really is not encrypted, set"]),
    ('{"query_string": "5EC2E7&%%%", "encryption": null}', ["query_string: must be the URL's query in base64"]),
    (
        '{"query_string": "5EC2E7&", "encrypt": {}, "encryption": {"kee": 1}}',
        ["encryption.kee: unknown member", "encryption.key: required", "query_string: must be", "encrypt: unknown"],
    ),
    (f'{{"encryption": {{"key": "{KEY}"}}}}', ["type: the document does not say which storage it is for"]),
    ('{"type": "azuer", "encryption": null}', ["type: no installed backend has the type 'azuer'"]),
    ('{"query_string": "c2lnPTEyMw==" "encryption": null}', ["not JSON at line 1"]),
    ("[]", ["a JSON object, in braces, is expected, not an array"]),
    ("\udcff", ["not UTF-8"]),
    (f'{{"type": "file", "encryption": {{"key": "{KEY}", "format": "gcm", "context": "x"}}}}', ["context"]),
]


@pytest.mark.parametrize(("text", "rules"), PROBLEMS, ids=[rules[0][:40] for _, rules in PROBLEMS])
def test_every_problem_of_a_document_has_its_line(home, run, text, rules):
    (home / "c.json").write_bytes(text.encode(errors="surrogateescape"))
    done = run("dataset", "check", "c.json", code=2)
    lines = done.err.splitlines()
    assert len(lines) == len(rules)
    assert all(line.startswith("connectors: error: c.json: ") for line in lines)
    for rule in rules:
        assert any(rule in line for line in lines), (rule, lines)
    assert "5EC2E7" not in done.err
    assert done.out == b""
    found = json.loads(run("dataset", "check", "c.json", "--json", code=2).out)
    assert (found["good"], len(found["problems"])) == (False, len(rules))


def sas(seconds: int) -> str:
    ends = datetime.now(UTC) + timedelta(seconds=seconds)
    return f"sv=2024-11-04&se={ends:%Y-%m-%dT%H:%M:%SZ}&sr=b&sp=r&sig={'5ec2e7' * 7}0="


EXPIRING = {
    "signed query": lambda seconds: {"query_string": query(seconds)},
    "SAS": lambda seconds: {"type": "azure", "account_name": "clinic", "sas_token": sas(seconds)},
    "connection string with a SAS": lambda seconds: {
        "type": "azure",
        "connection_string": (
            f"BlobEndpoint=https://clinic.blob.core.windows.net;SharedAccessSignature={sas(seconds)}"
        ),
    },
}


@pytest.mark.parametrize("members", EXPIRING.values(), ids=EXPIRING)
def test_credentials_that_expire_soon_say_when(home, run, members):
    document(home / "c.json", **members(100), encryption={"key": KEY})
    done = run("dataset", "check", "c.json")
    assert re.search(r"expires   20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC, in (9\d|100) s\n", done.text)
    assert "5ec2e7" not in done.text + done.err
    found = json.loads(run("dataset", "check", "c.json", "--json").out)
    assert datetime.fromisoformat(found["expires_at"]) > datetime.now(UTC)


@pytest.mark.parametrize("members", EXPIRING.values(), ids=EXPIRING)
def test_expired_credentials_are_a_problem(home, run, members):
    document(home / "c.json", **members(-5), encryption={"key": KEY})
    message = mistake(run("dataset", "check", "c.json", code=2))
    assert "the credentials expired at 20" in message
    assert "5ec2e7" not in message


def test_an_expired_sas_in_an_app_config_is_a_problem(home, run):
    folder = home / "app" / "input" / "conditions" / "dataset"
    (folder / "location.txt").write_text("az://ward/conditions")
    document(folder / "credentials.bin", **EXPIRING["SAS"](-5), encryption={"key": KEY})
    found = json.loads(run("dataset", "check", "--app-config", "app", "--json", code=2).out)
    conditions = next(one for one in found if one["name"].endswith("input/conditions"))
    assert datetime.fromisoformat(conditions["expires_at"]) <= datetime.now(UTC)
    assert "the credentials expired" in conditions["problems"][0]


def test_a_signed_query_that_was_cut_short_is_a_problem_everywhere(home, run):
    text = base64.b64decode(query(7000))[:-20]
    cut = {"query_string": base64.b64encode(text).decode(), "encryption": {"key": KEY}}
    document(home / "c.json", **cut)
    told = "credentials.query_string: the signature, X-Amz-Signature, is cut short: 44 of 64 hexadecimal digits"
    assert told in mistake(run("dataset", "check", "c.json", code=2))
    found = json.loads(run("dataset", "check", "c.json", "--json", code=2).out)
    assert found["good"] is False
    assert told in found["problems"][0]
    location = ("--location", "https://clinic.example/o")
    assert told in mistake(run("dataset", "new", "app", "input", "x", *location, "--credentials", "c.json", code=2))
    folder = home / "app" / "input" / "conditions" / "dataset"
    (folder / "location.txt").write_text(location[1])
    document(folder / "credentials.bin", **cut)
    assert told in mistake(run("dataset", "check", "dataset://input/conditions", code=2))
    # It opens nevertheless, and the storage decides.
    assert sdk.load(home / "app")["input"]["conditions"].filesystem()


def test_location_is_checked_with_the_document(home, run):
    def check(location: str) -> str:
        return mistake(run("dataset", "check", "file.json", "--location", location, code=2))

    assert "is not a URL; write a local file with its full path" in check("/store/conditions")
    assert "are for file:// locations, not https://" in check("https://h/x?sig=5EC2E7")
    assert "absolute path" in check("file://host/x")
    document(home / "c.json", encryption=None)
    message = mistake(run("dataset", "check", "c.json", "--location", "nope://h/x", code=2))
    assert "no installed backend serves the scheme 'nope'; installed: abfs, " in message


def test_missing_and_misplaced_documents_are_named(run):
    assert mistake(run("dataset", "check", "no.json", code=2)) == "there is no credentials document 'no.json'"
    assert "is a folder" in mistake(run("dataset", "check", "store", code=2))
    assert "--location needs a credentials FILE" in mistake(run("dataset", "check", "--location", "file:///x", code=2))
    assert "--online needs the location" in mistake(run("dataset", "check", "file.json", "--online", code=2))
    assert "no dataset 'nope'" in mistake(run("dataset", "check", "dataset://input/nope", code=2))
    assert "no port 'nope'" in mistake(run("dataset", "check", "dataset://nope/x", code=2))


def test_app_config_is_checked_as_a_whole_or_by_dataset(home, run):
    done = run("dataset", "check", code=2)
    head, *rows = done.text.splitlines()
    assert head.split() == ["DATASET", "BACKEND", "FORMAT", "EXPIRES", "SIZE", "STATE"]
    assert [row.split()[0] for row in rows] == [
        "dataset://input/broken",
        "dataset://input/conditions",
        "dataset://output/result",
    ]
    assert "a key is 64 hexadecimal digits" in rows[0]
    assert rows[1].endswith("good")
    assert "5EC2E7" not in done.text
    found = json.loads(run("dataset", "check", "--json", code=2).out)
    assert [one["good"] for one in found] == [False, True, True]
    assert run("dataset", "check", "dataset://input/conditions").text.startswith("dataset://input/conditions: good\n")
    done = run("dataset", "check", "dataset://input/broken", code=2)
    assert len(done.err.splitlines()) == 2


def test_online_reports_plain_sizes_and_what_cannot_be_opened(home, run):
    words = ("dataset", "check", "--online")
    assert f"size      {len(PLAIN)} bytes, plain" in run(*words, "dataset://input/conditions").text
    location = f"file://{home}/store/conditions"
    found = json.loads(run(*words, "file.json", "--location", location, "--json").out)
    assert found["plain_size"] == len(PLAIN)
    found = json.loads(run(*words, "--json", code=2).out)
    assert [one["plain_size"] for one in found] == [None, len(PLAIN), None]
    document(home / "other.json", type="file", encryption={"key": OTHER_KEY})
    assert "wrong key" in mistake(run(*words, "other.json", "--location", location, code=3))
    (home / "store/conditions").write_bytes((home / "store/conditions").read_bytes()[:-1])
    run(*words, code=3)


def test_empty_and_missing_app_configs_are_named(home, run):
    (home / "empty").mkdir()
    assert "has no datasets" in mistake(run("dataset", "check", "--app-config", "empty", code=2))
    for verb in (["dataset", "check"], ["ls"], ["cat", "dataset://input/x"], ["cp", "key.hex", "dataset://input/x"]):
        assert "there is no app config folder" in mistake(run(*verb, "--app-config", "nowhere", code=2))


# dataset new


def laid(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


NEW = ("dataset", "new", "fresh", "input", "Klinik Süd", "--location", "file:///data/x", "--credentials", "file.json")


def test_new_dataset_is_private_and_what_the_library_reads(home, run):
    assert run(*NEW).out == b""
    assert laid(home / "fresh") == {
        "input/Klinik Süd/dataset/location.txt": b"file:///data/x",
        "input/Klinik Süd/dataset/credentials.bin": (home / "file.json").read_bytes(),
    }
    for path in [home / "fresh", *(home / "fresh").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert sdk.load("fresh")["input"]["Klinik Süd"].location == "file:///data/x"


def test_dataset_that_is_there_stays_unless_forced(home, run):
    run(*NEW)
    before = laid(home / "fresh")
    document(home / "file.json", type="file", encryption={"key": OTHER_KEY})
    assert "already exists and was not changed; --force replaces it" in mistake(run(*NEW, code=2))
    assert laid(home / "fresh") == before
    run(*NEW, "--force")
    after = laid(home / "fresh")
    assert after.keys() == before.keys()
    assert after["input/Klinik Süd/dataset/credentials.bin"] == (home / "file.json").read_bytes()


def test_application_beside_a_dataset_is_left_alone(home, run):
    application = home / "fresh/input/Klinik Süd/application"
    application.mkdir(parents=True)
    (application / "location.txt").write_text("clinic.example")
    run(*NEW)
    run(*NEW, "--force")
    assert sdk.load("fresh")["input"].applications == {"Klinik Süd": "clinic.example"}
    assert len(laid(home / "fresh")) == 3


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        ({2: "nowhere/fresh"}, "there is no folder"),
        ({2: "key.hex"}, "is not a folder"),
        ({3: "../up"}, "a port cannot be called '../up'"),
        ({4: ".hidden"}, "a dataset cannot be called '.hidden'"),
        ({4: ""}, "a dataset cannot be called ''"),
        ({6: "/data/x"}, "is not a URL"),
        ({6: "file:///data/x\n"}, "trailing white space"),
        ({6: "https://h/x?sig=5EC2E7"}, "locations, not https://"),
        ({8: "key.hex"}, "not JSON"),
        ({8: "none.json"}, "there is no credentials document 'none.json'"),
    ],
    ids=str,
)
def test_bad_dataset_is_not_laid_down(home, run, changed, rule):
    words = [changed.get(index, word) for index, word in enumerate(NEW)]
    before = sorted(home.rglob("*"))
    message = mistake(run(*words, code=2))
    assert rule in message
    assert "5EC2E7" not in message
    assert sorted(home.rglob("*")) == before


def test_dataset_that_cannot_be_laid_down_leaves_the_old_one(home, run, monkeypatch):
    run(*NEW)
    before, rename, calls = laid(home / "fresh"), os.rename, []

    def fail_once(source: str, target: str) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail_once)
    document(home / "file.json", type="file", encryption={"key": OTHER_KEY})
    assert mistake(run(*NEW, "--force", code=1)) == "No space left on device"
    assert laid(home / "fresh") == before
    assert len(calls) == 3


@pytest.mark.parametrize(
    ("left", "shown"),
    [(30.5, "in 30 s"), (600.5, "in 10 minutes"), (7201, "in 2 hours"), (3 * 86400 + 1, "in 3 days"), (-1, "is past")],
)
def test_moments_are_told_with_their_distance(left, shown):
    assert inspection.moment(datetime.now(UTC) + timedelta(seconds=left)).endswith(shown)
