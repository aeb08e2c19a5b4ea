"""Keys of an app config: files below its root, read when they are used, and read again after `refresh`."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from app_configs import connect

import connectors
from connectors.errors import ConfigError, IntegrityError

if TYPE_CHECKING:
    from connectors import Dataset

OLD, NEW = "0a" * 32, "0b" * 32


@pytest.fixture
def keyed(root: Path, tmp_path: Path) -> Path:
    """An app config with a dataset whose key is in the file keys/clinic.hex."""
    connect(root, "input", "keyed", f"file://{tmp_path}/keyed")
    document = {"encryption": {"key": {"source": "file", "path": "keys/clinic.hex"}}}
    (root / "input/keyed/dataset/credentials.bin").write_text(json.dumps(document))
    (root / "keys").mkdir()
    (root / "keys/clinic.hex").write_text(OLD)
    return root


def dataset() -> Dataset:
    return connectors.load()["input"]["keyed"]


def test_key_file_is_below_the_root(keyed: Path, tmp_path: Path) -> None:
    dataset().write_bytes(b"37.2")
    direct = connectors.Dataset(f"file://{tmp_path}/keyed", {"encryption": {"key": OLD}})
    assert direct.read_bytes() == dataset().read_bytes() == b"37.2"


def test_key_is_not_read_before_it_is_used(keyed: Path) -> None:
    (keyed / "keys/clinic.hex").unlink()
    given = dataset()
    assert given.credentials.encryption is not None
    with pytest.raises(ConfigError, match=r"^input/keyed: encryption\.key: the key file 'keys/clinic\.hex' is missing"):
        given.read_bytes()


def test_refresh_reads_the_key_again(keyed: Path, tmp_path: Path) -> None:
    dataset().write_bytes(b"37.2")
    (keyed / "keys/clinic.hex").write_text(NEW)
    connectors.Dataset(f"file://{tmp_path}/keyed", {"encryption": {"key": NEW}}).write_bytes(b"38.9")
    with pytest.raises(IntegrityError):
        dataset().read_bytes()
    dataset().refresh()  # of another object for the same dataset
    assert dataset().read_bytes() == b"38.9"


def test_dataset_is_pickled_without_its_key(keyed: Path) -> None:
    dataset().write_bytes(b"37.2")
    sent = pickle.dumps((dataset(), dataset().filesystem()[0]))
    assert OLD.encode() not in sent
    assert bytes.fromhex(OLD) not in sent
    copy, fs = pickle.loads(sent)
    assert copy.read_bytes() == fs.cat_file(dataset().filesystem()[1]) == b"37.2"
