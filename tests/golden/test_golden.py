"""What commit 46c3b8d wrote, read with today's code: see README.md beside this file."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import connectors
from connectors.cli import main
from connectors.workflow.ccm import parse_runtime_app_config
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import OpenedCredentials
from connectors.workflow.documents.drafts import Draft
from connectors.workflow.documents.kinds import STATEMENTS
from connectors.workflow.documents.requests import KINDS, Request
from connectors.workflow.trust.signing import Envelope
from connectors.workflow.trust.verification import Bundle, verify

DATA = Path(__file__).parent / "data"
KEY = bytes(range(32)).hex()


def loaded(path: str):
    return json.loads((DATA / path).read_text())


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def plain(size: int) -> bytes:
    lines = (b"%08d: what every version of this library decrypts to\n" % n for n in range(size // 50 + 1))
    return b"".join(lines)[:size]


OBJECTS = loaded("objects/objects.json")
FOLDERS = loaded("folders/folders.json")
WORKFLOW = loaded("workflow/workflow.json")
CREDENTIALS = sorted(path.stem for path in (DATA / "credentials").iterdir())
BUNDLES = sorted(WORKFLOW["requests"])
DOCUMENTS = sorted((DATA / "workflow/store/documents").rglob("*.json"))
ENVELOPES = sorted((DATA / "workflow/store/said").rglob("*.json"))


@pytest.fixture
def command(capfdbinary):
    def run(*words: object) -> bytes:
        code = main([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        assert code == 0, err.decode()
        return out

    return run


@pytest.fixture
def key_file(tmp_path) -> Path:
    path = tmp_path / "key.hex"
    path.write_text(KEY)
    return path


@pytest.fixture
def lab(tmp_path, monkeypatch) -> Path:
    """The store on disk, with the identity of the lab: copies, which a test may change."""
    for name in ("store", "identities"):
        shutil.copytree(DATA / "workflow" / name, tmp_path / name)
    for path in (tmp_path / "identities").rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)  # git keeps no such permissions
    monkeypatch.setenv("CONNECTORS_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CONNECTORS_IDENTITIES", str(tmp_path / "identities" / "lab"))
    return tmp_path


@pytest.mark.parametrize("name", OBJECTS)
def test_sealed_objects_decrypt_to_the_same_bytes(name, command, key_file):
    known = OBJECTS[name]
    sealed = DATA / f"objects/{name}.sealed"
    data = command("decrypt", "-K", key_file, *known["options"], "-in", sealed, "-out", "-")
    assert data == plain(known["plain_size"])
    assert hashlib.sha256(data).hexdigest() == known["plain_sha256"]


@pytest.mark.parametrize("name", OBJECTS)
def test_pins_of_sealed_objects_stay(name, command, key_file):
    known = OBJECTS[name]
    printed = command("fingerprint", "-K", key_file, *known["options"], DATA / f"objects/{name}.sealed")
    assert printed.decode().strip() == known["pin"]


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_list_and_decrypt_to_the_same_files(name):
    known = FOLDERS[name]
    filesystem, root = connectors.Dataset(f"file://{DATA}/folders/{name}/", known["credentials"]).filesystem()
    sizes = {path.removeprefix(f"{root}/"): filesystem.size(path) for path in filesystem.find(root)}
    assert sizes == known["files"]
    for relative, size in known["files"].items():
        assert filesystem.cat_file(f"{root}/{relative}") == plain(size)


def test_a_folders_pin_is_the_same_and_is_accepted():
    known = FOLDERS["with-manifest"]
    location = f"file://{DATA}/folders/with-manifest/"
    assert connectors.Dataset(location, known["credentials"]).fingerprint() == known["pin"]
    pinned = {"encryption": {**known["credentials"]["encryption"], "pin": known["pin"]}}
    filesystem, root = connectors.Dataset(location, pinned).filesystem()
    assert filesystem.cat_file(f"{root}/north.csv") == plain(known["files"]["north.csv"])


@pytest.mark.parametrize("name", CREDENTIALS)
def test_credentials_documents_are_dumped_alike(name):
    known = loaded(f"credentials/{name}.json")
    for given in (known["document"], json.loads(known["canonical"])):
        dataset = connectors.Dataset(known["location"], given)
        assert canonical_bytes(dataset.credentials.document()).decode() == known["canonical"]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem[:8])
def test_documents_are_written_as_they_were_read(path):
    data = path.read_bytes()
    schema = json.loads(data)["schema"]
    kinds = {**KINDS, Request.schema_name(): Request}
    document = kinds[schema].from_bytes(data)
    assert document.to_bytes() == data
    assert document.digest == path.stem == hashlib.sha256(data).hexdigest()


def test_the_store_holds_every_kind_of_document():
    held = {json.loads(path.read_bytes())["schema"] for path in DOCUMENTS}
    assert held == {*KINDS, Request.schema_name()}


@pytest.mark.parametrize("path", ENVELOPES, ids=lambda path: path.stem[:8])
def test_signed_statements_are_written_as_they_were_read(path):
    data = path.read_bytes()
    envelope = Envelope.from_bytes(data)
    assert envelope.to_bytes() == data
    assert envelope.digest == path.stem
    assert envelope.document(*STATEMENTS).request == path.parent.name


def test_all_kinds_of_statements_are_among_the_signed_ones():
    held = {type(Envelope.from_bytes(path.read_bytes()).document(*STATEMENTS)) for path in ENVELOPES}
    assert held == {*STATEMENTS}


def test_drafts_are_written_as_they_were_read():
    data = (DATA / "workflow/store/drafts/Next year.json").read_bytes()
    assert b"reserved_for" in data
    assert Draft.from_bytes(data).to_bytes() == data


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_are_written_as_they_were_read(name):
    data = (DATA / f"workflow/exported/{name}.bundle.json").read_bytes()
    assert Bundle.from_bytes(data).to_bytes() == data


def test_the_bundle_verifies_at_its_time():
    bundle = Bundle.from_bytes((DATA / "workflow/exported/approved.bundle.json").read_bytes())
    created = datetime.strptime(bundle.request.created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    for name, identifier in WORKFLOW["identifiers"].items():
        build = json.loads((DATA / f"workflow/deployed/{name}/app-config.json").read_bytes())["build"]
        config = verify(
            bundle,
            set(WORKFLOW["parties"].values()),
            identifier,
            WORKFLOW["measurements"][name],
            platform=build["platform"],
            debug=build["debug"],
            now=created + timedelta(hours=1),
        )
        assert config.to_bytes() == (DATA / f"workflow/deployed/{name}/app-config.json").read_bytes()
        assert hashlib.sha256(config.to_bytes()).hexdigest() == identifier


@pytest.mark.parametrize("state", BUNDLES)
def test_requests_in_the_store_have_the_same_status(state, lab, command):
    found = json.loads(command("workflow", "status", WORKFLOW["requests"][state], "--json"))
    assert found["state"] == state


def test_identifiers_stay(lab, command):
    printed = command("workflow", "identifiers", WORKFLOW["requests"]["approved"], "--json")
    assert json.loads(printed) == WORKFLOW["identifiers"]


def exports() -> dict[str, str]:
    bundles = {f"{state}.bundle.json": digest for state, digest in WORKFLOW["requests"].items()}
    archives = {
        "draft.archive.json": "Next year",
        "conditions-data.archive.json": "Conditions Data",
        "describe-conditions.archive.json": "Describe conditions",
    }
    return bundles | archives


@pytest.mark.parametrize("name", exports())
def test_exported_files_stay_byte_for_byte(name, lab, command):
    expected = (DATA / "workflow/exported" / name).read_bytes()
    assert command("workflow", "export", exports()[name], "--out", lab / name) == b""
    assert (lab / name).read_bytes() == expected


def test_archives_keep_their_schema():
    for path in (DATA / "workflow/exported").glob("*.archive.json"):
        assert json.loads(path.read_bytes())["schema"] == "enclave-connectors workflow parcel 1"


def test_an_empty_store_becomes_the_same_by_importing(lab, command, monkeypatch):
    monkeypatch.setenv("CONNECTORS_STORE", str(lab / "other"))
    command("workflow", "import", *sorted((DATA / "workflow/exported").iterdir()))
    kept, expected = below(lab / "other"), below(DATA / "workflow/store")
    assert {path for path in expected if path not in kept} == set()
    assert {path: kept[path] for path in expected} == expected


@pytest.mark.parametrize("party", WORKFLOW["parties"])
def test_parties_export_the_same_document(party, lab, command, monkeypatch):
    monkeypatch.setenv("CONNECTORS_IDENTITIES", str(lab / "identities" / party))
    written = command("identity", "export", party)
    assert written == (DATA / f"workflow/exported/{party}.party.json").read_bytes()
    assert hashlib.sha256(written).hexdigest() == WORKFLOW["parties"][party]


@pytest.mark.parametrize(
    ("party", "verb", "state"), [("lab", "decline", "pending"), ("registry", "revoke", "approved")]
)
def test_keys_on_disk_still_sign(party, verb, state, lab, command, monkeypatch):
    monkeypatch.setenv("CONNECTORS_IDENTITIES", str(lab / "identities" / party))
    (lab / "passphrase").write_text("golden")
    locked = ["--passphrase-file", lab / "passphrase"] if party == "registry" else []
    request = WORKFLOW["requests"][state]
    before = below(lab / "store/said" / request)
    command("workflow", verb, request, "--reason", "no", "--yes", *locked)
    after = below(lab / "store/said" / request)
    assert len(after) == len(before) + 1
    assert after | before == after


def committed() -> list[Path]:
    return sorted((DATA / "workflow/identities").glob("*/*/credentials/*.json"))


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.stem[:8])
def test_commitments_to_credentials_stay(path):
    data = path.read_bytes()
    opened = OpenedCredentials.from_bytes(data)
    assert opened.digest == path.stem
    assert opened.to_bytes() == data


@pytest.mark.parametrize("name", WORKFLOW["identifiers"])
def test_deployed_folders_stay_byte_for_byte(name, lab, command):
    build = json.loads((DATA / f"workflow/deployed/{name}/app-config.json").read_bytes())["build"]
    command(
        "workflow",
        "deploy",
        DATA / "workflow/exported/approved.bundle.json",
        lab / "deployed",
        *("--identifier", WORKFLOW["identifiers"][name], "--measurement", WORKFLOW["measurements"][name]),
        *("--platform", build["platform"]),
        *(word for path in committed() for word in ("--credentials", path)),
    )
    assert below(lab / "deployed") == below(DATA / f"workflow/deployed/{name}")


def test_a_deployed_folder_loads():
    app = connectors.load(DATA / "workflow/deployed/describe")
    assert {port: sorted(app[port]) for port in app} == {"input": ["conditions"], "next": [], "output": ["result"]}
    dataset = app["input"]["conditions"]
    assert dataset.location == "https://clinic.example/conditions.csv.sealed"
    assert dataset.credentials.encryption.pin == OBJECTS["cobblestone-256"]["pin"]


def test_ccm_digests_and_folders_stay():
    config = parse_runtime_app_config((DATA / "ccm/runtime-app-config.json").read_bytes())
    expected = loaded("ccm/expected.json")
    assert config.config.digest == expected["digest"]
    assert config.config.to_bytes().decode() == expected["hashed"]
    files = config.files(lambda port, name, said: json.dumps([port, name, said]).encode())
    assert {path: data.decode() for path, data in files.items()} == expected["files"]


def bare(value):
    """Return a JSON schema without its descriptions and titles."""
    if isinstance(value, list):
        return [bare(one) for one in value]
    if not isinstance(value, dict):
        return value
    named = ("properties", "$defs", "members")
    return {
        name: {member: bare(rest) for member, rest in one.items()} if name in named else bare(one)
        for name, one in value.items()
        if name not in ("description", "title") or not isinstance(one, str)
    }


def without_new_members(value, golden):
    """Return a schema without the optional members that golden files do not know; documents that had none stay valid."""
    if isinstance(value, list) and isinstance(golden, list) and len(value) == len(golden):
        return [without_new_members(*pair) for pair in zip(value, golden, strict=True)]
    if not isinstance(value, dict) or not isinstance(golden, dict):
        return value
    if "anyOf" in value and "anyOf" not in golden and golden in value["anyOf"]:
        return golden  # what was valid still is
    if "enum" in value and {*golden.get("enum", ())} <= {*value["enum"]}:
        value = {**value, "enum": golden.get("enum", value["enum"])}  # likewise
    value = (
        {**value, "$defs": {k: v for k, v in value["$defs"].items() if k in golden["$defs"]}}
        if "$defs" in golden
        else value
    )
    new = value.get("properties", {}).keys() - golden.get("properties", {}).keys()
    assert new.isdisjoint(value.get("required", ()))
    kept = {name: one for name, one in value.get("properties", {}).items() if name not in new}
    value = {**value, "properties": kept} if "properties" in value else value
    return {name: without_new_members(one, golden.get(name)) for name, one in value.items()}


def test_the_schema_of_credentials_stays(command):
    golden = loaded("command/schema.json")
    assert without_new_members(bare(json.loads(command("schema"))), golden) == golden


def test_results_of_commands_are_shown_alike(command, key_file):
    printed = command("result", "-K", key_file, "--json", DATA / "command/result.sealed")
    assert printed == (DATA / "command/result.json").read_bytes()


def members(value, path: str = "") -> list[str]:
    """Return the names of all members of a JSON value, with those above them."""
    if isinstance(value, dict):
        return sorted({n for k, v in value.items() for n in (f"{path}.{k}".lstrip("."), *members(v, f"{path}.{k}"))})
    if isinstance(value, list):
        return sorted({name for one in value for name in members(one, path)})
    return []


def test_verbs_print_the_same_members_of_json(lab, command):
    for known in loaded("command/members.json"):
        words = [word.replace("PLACE", str(DATA / "workflow")) for word in known["words"]]
        for what in {"WORKFLOW", "REQUEST"} & {*words}:  # digests of what this test makes
            shown = json.loads(command("workflow", "show", "Another", "--json"))
            words[words.index(what)] = shown[what.lower()]
        assert members(json.loads(command(*words, "--json"))) == known["members"], words
