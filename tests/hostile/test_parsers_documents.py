"""Untrusted documents: credentials, manifests, results, keys, and the app config folder with arbitrary content."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
import socket

import pytest
import strange
from hypothesis import given
from hypothesis import strategies as st

import connectors
from connectors.cli.data import run
from connectors.credentials.model import Encryption
from connectors.errors import ConnectorError
from connectors.names import is_name
from connectors.storage.registry import backends
from fuzz.checks import ACCEPTED, MARK
from fuzz.targets import credentials, documents

SEEDS = [json.loads(data) for data in credentials.seeds().values() if data.startswith(b'{"') and b"@rsa@" not in data]
MEMBERS = {one.name: list(one.backend.Credentials.model_fields) for one in backends() if one.backend}
KEY = "5a" * 32


def encryptions() -> st.SearchStrategy[object]:
    good = [{"key": KEY, "format": "gcm"}, {"key": MARK}, {"key": KEY, "manifest": True, "pin": "ab" * 32}]
    return st.one_of(st.none(), strange.edited(good, list(Encryption.model_fields)), strange.json_values())


@pytest.mark.parametrize("backend", ["azure", "file", "gcs", "https", "memory", "s3", "sftp"])
def test_arbitrary_credentials(backend, tally):
    good = [seed for seed in SEEDS if isinstance(seed, dict) and seed.get("type", "https") == backend] or [
        {"type": backend}
    ]
    refused = {"InvalidCredentials", "BackendNotFound", "InvalidLocation", "ConfigError"}
    with tally(
        "arbitrary documents", f"credentials of {backend}", outcome="round-trips, or InvalidCredentials"
    ) as cases:

        @strange.examples(120)
        @given(strange.edited(good, MEMBERS[backend]), encryptions(), st.booleans())
        def hold(document, encryption, has_one):
            document = {**document, "encryption": encryption} if has_one else document
            outcome = credentials.check(json.dumps(document, ensure_ascii=True).encode())
            assert outcome == ACCEPTED or outcome in refused
            cases.count("held")

        hold()


@pytest.mark.parametrize(
    ("parser", "against"),
    [("manifest", "manifests of folders"), ("result", "results of commands"), ("key", "key files")],
)
def test_arbitrary_documents(parser, against, tally):
    parse = getattr(documents, f"_{parser}")
    good = [data[1:] for name, data in documents.seeds().items() if name.split("-")[0] == parser]
    members = {"size": 1, "pin": "ab" * 32, "returncode": 0, "stdout": "", "stderr": "aHVudGVyMg==", "objects": {}}
    shapes = strange.edited([members, json.loads(good[1]) if parser != "key" else members], [*members, "schema"])
    nested = st.builds(
        lambda objects: {"schema": "enclave-connectors folder manifest 1", "objects": objects},
        st.dictionaries(strange.names(), st.one_of(shapes, st.just({"size": 1, "pin": "ab" * 32})), max_size=3),
    )
    written = st.one_of(shapes, nested, strange.json_values()).map(lambda value: json.dumps(value).encode())
    cut = st.builds(lambda data, at: data[: at % (len(data) + 1)], st.sampled_from(good), st.integers(0, 400))
    spaced = st.builds(
        lambda at, more: (KEY[: at % 65] + more + KEY[at % 65 :]).encode(),
        st.integers(0, 64),
        st.text(" \n\ufeffxG", max_size=3),
    )
    known = {"manifest": "IntegrityError", "result": "ConfigError", "key": "InvalidKey ConfigError"}[parser].split()
    with tally("arbitrary bytes", against, outcome=f"round-trips, or {known[0]}") as cases:

        @strange.examples(300)
        @given(st.one_of(written, cut, spaced, st.binary(max_size=80)))
        def hold(data):
            outcome = parse(data)
            assert outcome == ACCEPTED or outcome in known
            cases.count("held")

        hold()


def test_bytes_shown_on_a_terminal_are_escaped(tally):
    with tally("arbitrary bytes", "output of `connectors result`", outcome="text without control characters") as cases:

        @strange.examples(300)
        @given(
            st.one_of(st.binary(max_size=60), strange.texts().map(lambda text: text.encode("utf-8", "surrogatepass")))
        )
        def hold(data):
            shown = run._escaped(data)
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown)
            result = {"returncode": 0, "stdout": base64.b64encode(data).decode(), "stderr": ""}
            assert connectors.runner.read_result(io.BytesIO(json.dumps(result).encode())).stdout == data
            cases.count("held")

        hold()


class Tree:
    """An app config folder with arbitrary content, next to a folder whose files must never be read through it."""

    def __init__(self, folder) -> None:
        self.root = folder / "rw"
        self.outside = folder / "outside"
        dataset = self.outside / "conditions" / "dataset"
        dataset.mkdir(parents=True)
        (dataset / "location.txt").write_text("memory://stolen/object")
        (dataset / "credentials.bin").write_text('{"encryption": null}')

    def lay(self, path, kind) -> None:
        """Create something of a kind at a path, if the system allows the path."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            match kind:
                case "folder":
                    path.mkdir()
                case "pipe":
                    os.mkfifo(path)
                case "socket":
                    with socket.socket(socket.AF_UNIX) as one:
                        one.bind(str(path))
                case "a circle":
                    path.symlink_to(path.name)
                case "a link outside":
                    path.symlink_to(self.outside)
                case "a link to nothing":
                    path.symlink_to("nothing")
                case "a link to the root":
                    path.symlink_to(self.root)
                case "large":
                    path.touch()
                    os.truncate(path, (1 << 20) + 1)
                case _:
                    path.write_bytes(kind)
        except (OSError, ValueError):
            return  # the name is not possible, or something exists there


def things() -> st.SearchStrategy[tuple[str, str, str, object]]:
    kinds = (
        "folder",
        "pipe",
        "socket",
        "a circle",
        "a link outside",
        "a link to nothing",
        "a link to the root",
        "large",
    )
    content = [b"memory://clinic/x", b'{"encryption": null}', b"", b"\xff\xfe", b"https://h/x?hunter2", b"a\nb"]
    contents = st.one_of(
        st.sampled_from([*kinds, *kinds, *content]), strange.texts().map(lambda text: text.encode("utf-8", "replace"))
    )
    ports = st.one_of(st.sampled_from(("input", "input", "output")), strange.names())
    places = st.sampled_from(
        ("", "dataset", "dataset/location.txt", "dataset/credentials.bin", "application/location.txt")
    )
    return st.tuples(ports, st.one_of(st.sampled_from(("conditions", "a", "")), strange.names()), places, contents)


def test_arbitrary_app_config_folders(tmp_path, tally):
    with tally(
        "arbitrary names, links, pipes, files",
        "app config folders",
        outcome="only what is below the root, or one of our errors",
    ) as cases:

        @strange.examples(120)
        @given(st.lists(things(), min_size=1, max_size=6), strange.names(), strange.names())
        def hold(laid, port, name):
            shutil.rmtree(tmp_path)
            tree = Tree(tmp_path)
            tree.root.mkdir()
            for first, second, place, kind in laid:
                # Nothing can exist at a name that leads elsewhere.
                if not {"..", "."} & {*first.split("/"), *second.split("/")} and not f"{first}{second}".startswith("/"):
                    tree.lay(tree.root / first.lstrip("/") / second.lstrip("/") / place, kind)
            look(connectors.load(tree.root), port, name)
            cases.count("held")

        hold()


def look(app, port, name) -> None:
    """Read everything that an app config folder has, and a port and a name that it may not have."""
    for one in [*app, port]:
        assert one in app or one == port
        try:
            connections = app[one]
            assert is_name(one)
            assert all(map(is_name, connections.applications))
        except ConnectorError:
            continue
        for dataset in [*connections, name]:
            try:
                location = connections[dataset].location
            except ConnectorError:
                continue
            assert is_name(dataset)
            assert location != "memory://stolen/object", "a link led out of the root"
