"""The contract of key sources, with those of the core."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from connectors.errors import ConfigError
from connectors.keys import reference, resolve, source_of, wrapping
from connectors.keys.passphrase import Passphrase
from connectors.secrets import SecretKey, SecretText
from connectors.testing import KeyService, KeySourceContract

if TYPE_CHECKING:
    from pathlib import Path

KEK = "5eed" * 16
WORDS = "correct horse battery staple"


class Folder(KeyService):
    """A folder of files: to refuse is to put another key there; to vanish is to remove it."""

    outage = ConfigError

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("kek", KEK)
        self.write("words", WORDS)

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.touch(0o600)
        path.write_text(text)
        return str(path)

    def secrets(self) -> list[str]:
        return [KEK, WORDS]

    def refuse(self) -> None:
        self.write("kek", KEK[::-1])
        self.write("words", WORDS[::-1])

    def vanish(self) -> None:
        for path in self.folder.iterdir():
            path.unlink()


class Files(Folder):
    source = "file"
    refusal = None  # tests may run as root, who may read everything

    def hold(self, key: SecretKey) -> dict[str, Any]:
        name = key.reveal()[:4].hex()
        return {"source": "file", "path": self.write(name, key.reveal().hex())}

    def secrets(self) -> list[str]:
        return []


class UnderKeys(Folder):
    source = "wrapped"
    shown = ("kek",)

    def wrapping(self) -> dict[str, Any]:
        return {"source": "wrapped", "by": {"source": "file", "path": str(self.folder / "kek")}}


class Passphrases(Folder):
    source = "passphrase"
    shown = ("passphrase",)

    def wrapping(self) -> dict[str, Any]:
        return {"source": "passphrase", "n": 1 << 14, "file": str(self.folder / "words")}


class TestFile(KeySourceContract):
    @pytest.fixture
    def service(self, tmp_path: Path) -> Files:
        return Files(tmp_path)


class TestWrapped(KeySourceContract):
    @pytest.fixture
    def service(self, tmp_path: Path) -> UnderKeys:
        return UnderKeys(tmp_path)


class TestPassphrase(KeySourceContract):
    @pytest.fixture
    def service(self, tmp_path: Path) -> Passphrases:
        return Passphrases(tmp_path)


def test_prompt_is_asked_once_for_a_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def prompt(new: bool) -> SecretText:
        asked.append(new)
        return SecretText(WORDS)

    monkeypatch.setattr(Passphrase, "prompt", staticmethod(prompt))
    key, place = SecretKey.generate(), wrapping({"source": "passphrase", "n": 1 << 14})
    document = source_of("passphrase").wrap(key, place, None).document()
    assert resolve(reference(document)) == resolve(reference(document)) == key
    assert asked == [True, False]
