"""The key sources of the core: file, passphrase, wrapped."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from connectors.credentials import Credentials, validate
from connectors.errors import ConfigError, InvalidCredentials, InvalidKey, KeyRefused, NotSupported
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.keys.files import WideKeyFile
from connectors.keys.passphrase import Passphrase
from connectors.secrets import SecretKey, SecretText

if TYPE_CHECKING:
    from pathlib import Path

KEY = SecretKey(bytes(range(32)))
DIGITS = bytes(range(32)).hex()
QUICK = {"source": "passphrase", "n": 1 << 14}


def private(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(0o600)
    return path


def wrapped(document: dict[str, Any], root: str | None = None) -> dict[str, Any]:
    """Return the document of a reference to KEY."""
    place = wrapping(document)
    made = source_of(place.source).wrap(KEY, place, root).document()
    assert json.loads(json.dumps(made)) == made
    return made


def unwrapped(document: dict[str, Any], root: str | None = None) -> SecretKey:
    found = reference(document)
    forget([found], root)
    return resolve(found, root)


class TestFile:
    def test_key_below_the_root_is_read(self, tmp_path: Path) -> None:
        private(tmp_path / "keys/clinic.hex", f"{DIGITS[:20]}\n{DIGITS[20:].upper()}\n")
        assert unwrapped({"source": "file", "path": "keys/clinic.hex"}, str(tmp_path)) == KEY

    def test_absolute_path_is_read_outside_an_app_config(self, tmp_path: Path) -> None:
        path = private(tmp_path / "clinic.hex", DIGITS)
        assert unwrapped({"source": "file", "path": str(path)}) == KEY

    @pytest.mark.parametrize(
        ("path", "told"),
        [
            ("../outside.hex", "leads out of the app config's root"),
            ("link.hex", "leads out of the app config's root"),
            ("/etc/hostname", "below the app config's root, without a slash"),
            ("missing.hex", "is missing"),
            ("nul\0.hex", "is missing"),
            ("folder", "is not a regular file|Is a directory"),
            ("pipe", "is not a regular file"),
            ("empty", "is empty"),
            ("large", "is larger than"),
        ],
    )
    def test_other_files_are_refused(self, tmp_path: Path, path: str, told: str) -> None:
        root = tmp_path / "root"
        private(tmp_path / "outside.hex", DIGITS)
        private(root / "empty", "")
        private(root / "large", "0" * 100_000)
        (root / "folder").mkdir()
        os.mkfifo(root / "pipe", 0o600)
        os.symlink(tmp_path / "outside.hex", root / "link.hex")
        with pytest.raises(ConfigError, match=told):
            unwrapped({"source": "file", "path": path}, str(root))

    def test_links_within_the_root_are_followed(self, tmp_path: Path) -> None:
        # A Kubernetes volume is a folder of links to a folder of the current version.
        private(tmp_path / "keys/..2026_11_30/clinic.hex", DIGITS)
        os.symlink("..2026_11_30", tmp_path / "keys/..data")
        os.symlink("..data/clinic.hex", tmp_path / "keys/clinic.hex")
        assert unwrapped({"source": "file", "path": "keys/clinic.hex"}, str(tmp_path)) == KEY

    def test_relative_path_needs_a_root(self) -> None:
        with pytest.raises(ConfigError, match="give its whole path"):
            unwrapped({"source": "file", "path": "keys/clinic.hex"})

    @pytest.mark.parametrize("content", ["hunter2", DIGITS[:-1], bytes(range(32)), b"\xff\xfe0\x000\x00"])
    def test_other_content_is_refused_without_quoting_it(self, tmp_path: Path, content: str | bytes) -> None:
        private(tmp_path / "clinic.hex", content)
        with pytest.raises(InvalidKey, match=r"the key file 'clinic\.hex': a key is 64 hexadecimal digits") as caught:
            unwrapped({"source": "file", "path": "clinic.hex"}, str(tmp_path))
        assert "hunter2" not in str(caught.value)
        assert DIGITS[:-1] not in str(caught.value)

    @pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o666])
    def test_file_that_others_can_read_is_warned_about(self, tmp_path: Path, mode: int) -> None:
        private(tmp_path / "clinic.hex", DIGITS).chmod(mode)
        with pytest.warns(WideKeyFile, match=f"mode {mode:04o}.; chmod it to 0600"):
            assert unwrapped({"source": "file", "path": "clinic.hex"}, str(tmp_path)) == KEY

    def test_file_wraps_no_keys(self) -> None:
        with pytest.raises(NotSupported, match="'file' wraps no keys"):
            wrapping({"source": "file", "path": "clinic.hex"})


class TestPassphrase:
    @pytest.fixture
    def words(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What a person types, in turn."""
        typed: list[str] = []
        monkeypatch.setattr(Passphrase, "prompt", staticmethod(lambda _: SecretText(typed.pop(0))))
        return typed

    def test_key_is_wrapped_and_unwrapped(self, words: list[str]) -> None:
        words += ["correct horse", "correct horse"]
        document = wrapped(QUICK)
        assert document.keys() == {"source", "n", "salt", "wrapped"}
        assert unwrapped(document) == KEY

    def test_each_wrapping_has_its_own_salt(self, words: list[str]) -> None:
        words += ["correct horse"] * 2
        one, other = wrapped(QUICK), wrapped(QUICK)
        assert one["salt"] != other["salt"]
        assert one["wrapped"] != other["wrapped"]

    def test_unicode_forms_of_a_passphrase_are_one(self, words: list[str]) -> None:
        words += ["Zo\u00eb", "Zoe\u0308"]
        assert unwrapped(wrapped(QUICK)) == KEY

    def test_wrong_passphrase_is_refused_without_quoting_it(self, words: list[str]) -> None:
        words += ["correct horse", "battery staple"]
        with pytest.raises(KeyRefused, match="another one, or the document was changed") as caught:
            unwrapped(wrapped(QUICK))
        assert "battery" not in str(caught.value)

    @pytest.mark.parametrize("member", ["salt", "wrapped"])
    def test_changed_reference_is_refused(self, words: list[str], member: str) -> None:
        words += ["correct horse"] * 2
        document = wrapped(QUICK)
        data = bytearray(base64.b64decode(document[member]))
        data[3] ^= 1
        with pytest.raises(KeyRefused):
            unwrapped({**document, member: base64.b64encode(data).decode()})

    def test_passphrase_is_read_from_a_file(self, tmp_path: Path) -> None:
        private(tmp_path / "words", "correct horse\r\n")
        document = wrapped({**QUICK, "file": "words"}, str(tmp_path))
        assert unwrapped(document, str(tmp_path)) == KEY

    def test_nobody_to_ask_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Passphrase, "prompt", None)
        with pytest.raises(ConfigError, match="nobody to ask"):
            wrapped(QUICK)

    def test_empty_passphrase_is_refused(self, words: list[str]) -> None:
        words += [""]
        with pytest.raises(ConfigError, match="empty passphrase protects nothing"):
            wrapped(QUICK)

    @pytest.mark.parametrize(
        ("cost", "told"),
        [
            ({"n": 1 << 13}, "minimum is 16384"),
            ({"n": 100_000}, "power of two"),
            ({"n": 1 << 26}, "bytes of memory"),
            ({"p": 17}, "maximum is 16"),
            ({"n": "131072"}, "whole number"),
            ({"n": 1 << 20, "r": 8, "p": 16}, "would take minutes"),
            ({"n": 1 << 16, "r": 1}, "less than 2 to the power of 16"),
        ],
    )
    def test_cost_is_bounded(self, cost: dict[str, Any], told: str) -> None:
        with pytest.raises(InvalidCredentials, match=told):
            wrapping({"source": "passphrase", **cost})


class TestWrapped:
    def test_deep_nesting_is_refused(self) -> None:
        document: dict[str, Any] = {"source": "file", "path": "kek.hex"}
        for _ in range(2000):
            document = {"source": "wrapped", "by": document, "wrapped": "AAAA"}
        with pytest.raises(InvalidCredentials, match="by: a wrapping key is not wrapped itself"):
            reference(document)

    def test_key_is_wrapped_under_another(self, tmp_path: Path) -> None:
        private(tmp_path / "kek.hex", "77" * 32)
        place = {"source": "wrapped", "by": {"source": "file", "path": "kek.hex"}}
        document = wrapped(place, str(tmp_path))
        assert document.keys() == {"source", "by", "wrapped"}
        assert unwrapped(document, str(tmp_path)) == KEY

    def test_another_wrapping_key_is_refused(self, tmp_path: Path) -> None:
        private(tmp_path / "kek.hex", "77" * 32)
        private(tmp_path / "other.hex", "78" * 32)
        document = wrapped({"source": "wrapped", "by": {"source": "file", "path": "kek.hex"}}, str(tmp_path))
        with pytest.raises(KeyRefused, match=r"not wrapped under the key file other\.hex"):
            unwrapped({**document, "by": {"source": "file", "path": "other.hex"}}, str(tmp_path))

    def test_vector_of_the_standard(self, tmp_path: Path) -> None:
        # RFC 3394, section 4.6: 256 bits of key data with a 256-bit key-encryption key.
        private(tmp_path / "kek.hex", bytes(range(32)).hex())
        sealed = "28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"
        document = {
            "source": "wrapped",
            "by": {"source": "file", "path": "kek.hex"},
            "wrapped": base64.b64encode(bytes.fromhex(sealed)).decode(),
        }
        plain = SecretKey("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F")
        assert unwrapped(document, str(tmp_path)) == plain

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"by": {"source": "wrapped", "by": {}, "wrapped": "AAAA"}}, "by: a wrapping key is not wrapped itself"),
            ({"by": "00" * 32}, "by: a key is .* an object that names its source"),
            ({"by": {"source": "vault2"}}, "by: there is no key source 'vault2'"),
            ({"wrapped": "not base64!"}, "wrapped: base64 text is expected"),
            ({"wrapped": ""}, "wrapped: it is empty"),
            ({"wraped": "AAAA"}, "wraped: unknown member"),
        ],
    )
    def test_invalid_reference_is_refused(self, changes: dict[str, Any], told: str) -> None:
        document = {"source": "wrapped", "by": {"source": "file", "path": "kek.hex"}, "wrapped": "AAAA", **changes}
        with pytest.raises(InvalidCredentials, match=told):
            reference(document)

    def test_short_wrapped_key_is_refused(self, tmp_path: Path) -> None:
        private(tmp_path / "kek.hex", "77" * 32)
        by = {"source": "file", "path": "kek.hex"}
        with pytest.raises(InvalidKey, match="has 40 bytes, and this one has 3: it was cut short"):
            unwrapped({"source": "wrapped", "by": by, "wrapped": "AAAA"}, str(tmp_path))


class TestDocuments:
    """References as members of credentials documents."""

    @pytest.mark.parametrize(
        ("key", "told"),
        [
            ({"source": "fiel", "path": "a"}, r"encryption\.key: there is no key source 'fiel'; did you mean file\?"),
            ({"source": "file"}, r"encryption\.key: file: path: required"),
            ({"source": "file", "pth": "a"}, r"encryption\.key: file: pth: unknown member; did you mean path\?"),
            ({"path": "a"}, r"encryption\.key: a key is 64 hexadecimal digits, or an object that names its source"),
            (7, r"encryption\.key: a key is 64 hexadecimal digits, in quotation marks"),
            ("hunter2", r"encryption\.key: a key is 64 hexadecimal digits; this one has 7 characters"),
        ],
    )
    def test_problem_names_the_member_and_the_rule(self, key: Any, told: str) -> None:
        with pytest.raises(InvalidCredentials, match=told):
            validate(Credentials, {"encryption": {"key": key}})

    def test_document_is_written_as_it_was_read(self) -> None:
        document = {
            "encryption": {
                "key": {"source": "file", "path": "keys/new.hex"},
                "former_keys": [DIGITS, {"source": "file", "path": "keys/old.hex"}],
            }
        }
        assert json.loads(json.dumps(validate(Credentials, document).document())) == document

    def test_dump_masks_keys(self) -> None:
        credentials = validate(Credentials, {"encryption": {"key": DIGITS, "former_keys": [DIGITS]}})
        assert DIGITS not in credentials.model_dump_json() + repr(credentials) + str(credentials.model_dump())

    @pytest.mark.parametrize("name", ["gcm", "tink-gcm-hkdf"])
    def test_former_keys_need_a_commitment(self, name: str) -> None:
        with pytest.raises(InvalidCredentials, match="former_keys needs the format cobblestone-256"):
            validate(Credentials, {"encryption": {"key": DIGITS, "former_keys": [DIGITS], "format": name}})
