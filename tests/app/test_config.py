"""The app config folder: its ports, objects and documents, and what leads out of it."""

from __future__ import annotations

import itertools
import json
import os

import fsspec
import pytest
from app_configs import KEY, connect

import connectors
from connectors.app import config as config_module
from connectors.app.layout import write_dataset
from connectors.errors import ConfigError, InvalidCredentials, InvalidLocation, UnknownDataset, WrongKey
from connectors.names import is_name


def test_ports_and_objects_are_mappings(root):
    app = connectors.load()
    assert list(app) == ["input", "output"]
    assert len(app) == 2
    assert {port: list(app[port]) for port in app} == {"input": ["conditions"], "output": ["result"]}
    assert app["input"]["conditions"].name == "input/conditions"
    assert app["input"]["conditions"].location.endswith("/conditions.sealed")


def test_root_is_the_argument_else_the_variable_else_the_platforms(root, tmp_path, monkeypatch):
    other = tmp_path / "other"
    connect(other, "input", "visits", "memory://visits/one")
    assert list(connectors.load(other)["input"]) == ["visits"]
    assert list(connectors.load()["input"]) == ["conditions"]
    monkeypatch.delenv("CONNECTORS_APP_CONFIG")
    with pytest.raises(ConfigError, match="/opt/fortanix/enclave-os/app-config/rw"):
        connectors.load()


def test_what_is_no_port_is_ignored(root):
    (root / "app-config.json").write_text("{}")
    (root / "models").mkdir()
    (root / "models" / "weights.bin").write_bytes(b"...")
    (root / "half" / "done" / "dataset").mkdir(parents=True)
    connect(root, "input", ".hidden", "memory://a/b")
    app = connectors.load()
    assert list(app) == ["input", "output"]
    assert list(app["input"]) == ["conditions"]
    assert "half" not in app


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "a\\b", "a\0b", "a\nb", ".hidden", " padded "])
def test_names_that_are_no_path_component_are_no_names(root, name):
    assert not is_name(name)
    with pytest.raises(UnknownDataset):
        connectors.load()[name]
    with pytest.raises(UnknownDataset):
        connectors.load()["input"][name]


def test_unknown_names_are_answered_with_the_known_ones(root):
    with pytest.raises(KeyError, match="no port 'inptu'; it has 'input', 'output'"):
        connectors.load()["inptu"]
    with pytest.raises(UnknownDataset, match="no dataset 'condition'; it has 'conditions'"):
        connectors.load()["input"]["condition"]


def test_links_out_of_the_root_are_not_followed(root, tmp_path):
    outside = connect(tmp_path / "outside", "x", "stolen", "memory://a/b").parent
    os.symlink(outside, root / "input" / "stolen")
    assert "stolen" not in connectors.load()["input"]
    inside = connect(root / "..data", "x", "linked", "memory://a/b").parent
    os.symlink(inside, root / "input" / "linked")
    assert "linked" in connectors.load()["input"]


def test_credentials_linked_out_of_the_root_are_not_read(root, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"encryption": {"key": KEY}}))
    document = root / "input" / "conditions" / "dataset" / "credentials.bin"
    document.unlink()
    document.symlink_to(secret)
    with pytest.raises(ConfigError, match=r"^input/conditions: .*credentials\.bin leads out of the app config folder"):
        connectors.load()["input"]["conditions"].read_bytes()


def volume(mount, version):
    """Make a dataset's folder as Kubernetes does: files are links into ``..data``, a link to the current version."""
    folder = mount / f"..{version}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "location.txt").write_text(f"memory://ward/{version}")
    (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": f"{version:02x}" * 32}}))
    for name in ("location.txt", "credentials.bin"):
        if not (mount / name).is_symlink():
            (mount / name).symlink_to(f"..data/{name}")
    switch(mount, version)


def switch(mount, version):
    (mount / "..new").symlink_to(f"..{version}")
    os.replace(mount / "..new", mount / "..data")


def pair(root):
    """Read a dataset's documents, and return the versions that they are of."""
    dataset = connectors.load(root)["input"]["ward"]
    key = dataset.credentials.encryption.key.reveal().hex()
    return int(dataset.location.rpartition("/")[2]), int(key[:2], 16)


def swap_in_between(monkeypatch, swap):
    """Call `swap` after each file that is opened, so also between location and credentials."""
    real = config_module.AppConfig._open

    def opened(app, path, shown):
        file = real(app, path, shown)
        swap()
        return file

    monkeypatch.setattr(config_module.AppConfig, "_open", opened)


@pytest.mark.parametrize("whole", [False, True], ids=["a volume for a dataset", "a volume for the app config"])
def test_location_and_credentials_in_a_volume_are_of_one_version(tmp_path, monkeypatch, whole):
    mount = tmp_path / "rw" / "input" / "ward" / "dataset"
    if whole:
        mount = tmp_path / "rw"
        for version in (1, 2):
            folder = connect(mount / f"..{version}" / "input", "ward", ".", f"memory://ward/{version}")
            (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": f"{version:02x}" * 32}}))
        (mount / "input").symlink_to("..data/input")
        switch(mount, 1)
    else:
        volume(mount, 2)
        volume(mount, 1)
    versions = itertools.cycle([2, 1])
    swap_in_between(monkeypatch, lambda: switch(mount, next(versions)))
    found = {pair(tmp_path / "rw") for _ in range(10)}
    assert found <= {(1, 1), (2, 2)}


def test_location_and_credentials_of_a_folder_that_is_replaced_are_of_one_version(tmp_path, monkeypatch):
    root = str(tmp_path / "rw")

    def write(version):
        document = json.dumps({"encryption": {"key": f"{version:02x}" * 32}}).encode()
        write_dataset(root, "input", "ward", f"memory://ward/{version}", document, replace=True)

    write(1)
    left = iter([2, 3, 4])
    swap_in_between(monkeypatch, lambda: write(version) if (version := next(left, 0)) else None)
    assert pair(root) == (4, 4)
    assert next(left, None) is None


def test_documents_that_never_stand_still_are_an_error(tmp_path, monkeypatch):
    folder = connect(tmp_path / "rw", "input", "ward", "memory://ward/1")
    monkeypatch.setattr(config_module, "_PAUSE", 0)
    counter = itertools.count()
    swap_in_between(monkeypatch, lambda: (folder / "location.txt").write_text(f"memory://ward/{next(counter)}" * 2))
    with pytest.raises(ConfigError, match="^input/ward: the app config's input/ward/dataset changes while it is read"):
        pair(tmp_path / "rw")


def test_a_folder_that_is_away_for_a_moment_is_waited_for(root, monkeypatch):
    folder = root / "input" / "conditions" / "dataset"
    dataset = connectors.load()["input"]["conditions"]
    folder.rename(root / "away")
    pauses: list[float] = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 3:
            (root / "away").rename(folder)

    monkeypatch.setattr(config_module.time, "sleep", pause)
    assert dataset.location.endswith("/conditions.sealed")
    assert len(pauses) == 3


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "input/broken: credentials.bin is empty"),
        ("{", "input/broken: the credentials are not a valid document: not JSON at line 1, column 2"),
        ("{}", "input/broken: credentials.encryption: required"),
        ({"encryption": {"key": KEY[:-1]}}, "has 63 characters"),
        (
            {"encryption": None, "bucket": "x"},
            "credentials.bucket: unknown member; known members: encryption, layout, type",
        ),
    ],
)
def test_broken_credentials_are_an_error_of_that_dataset_alone(root, document, message):
    connect(root, "input", "broken", "memory://a/b", document)
    app = connectors.load()
    assert list(app["input"]) == ["broken", "conditions"]
    app["input"]["conditions"].write_bytes(b"fine")
    assert app["input"]["conditions"].read_bytes() == b"fine"
    with pytest.raises(InvalidCredentials) as error:
        app["input"]["broken"].open()
    assert message in str(error.value)
    assert KEY[:-1] not in str(error.value)


@pytest.mark.parametrize("location", ["", "two\nlines", "\x1b[2J"])
def test_location_is_one_line_of_text(root, location):
    connect(root, "input", "odd", location)
    with pytest.raises(InvalidLocation, match="input/odd: location.txt must hold one line"):
        connectors.load()["input"]["odd"].open()


def test_missing_credentials_are_named(root):
    (connect(root, "input", "bare", "memory://a/b") / "credentials.bin").unlink()
    with pytest.raises(ConfigError, match=r"input/bare: .*no readable input/bare/dataset/credentials\.bin"):
        connectors.load()["input"]["bare"].read_bytes()


def test_endless_documents_are_not_read(root):
    folder = connect(root, "input", "huge", "memory://a/b")
    (folder / "credentials.bin").write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="input/huge: .* larger than 1048576 bytes"):
        connectors.load()["input"]["huge"].read_bytes()


def test_connected_applications_are_listed_beside_datasets(root):
    folder = root / "output" / "portal" / "application"
    folder.mkdir(parents=True)
    (folder / "location.txt").write_text("portal.example.org\n")
    port = connectors.load()["output"]
    assert list(port) == ["result"]
    assert port.applications == {"portal": "portal.example.org"}


def test_refresh_takes_renewed_credentials(root):
    dataset = connectors.load()["input"]["conditions"]
    dataset.write_bytes(b"sealed under the first key")
    document = root / "input" / "conditions" / "dataset" / "credentials.bin"
    document.write_text(json.dumps({"encryption": {"key": "aa" * 32, "format": "cobblestone-256"}}))
    assert dataset.read_bytes() == b"sealed under the first key"
    dataset.refresh()
    with pytest.raises(WrongKey, match="^input/conditions: "):
        dataset.read_bytes()


def test_work_for_a_port_grows_with_its_datasets_and_not_with_their_square(tmp_path):
    def looked_at(count):
        """How many paths are resolved when all datasets are gone through and listed."""
        root = tmp_path / str(count)
        for number in range(count):
            connect(root, "input", f"scan{number}", f"memory://ward/{number}")
        calls, real = 0, os.path.realpath

        def realpath(path, **options):
            nonlocal calls
            calls += 1
            return real(path, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os.path, "realpath", realpath)
            for port in connectors.load(root).values():
                assert len([dataset for _, dataset in port.items()]) == count
            assert len(fsspec.filesystem("dataset", app_config=str(root)).ls("input")) == count
        return calls

    assert looked_at(80) < 5 * looked_at(20)
