"""Keys that are wrapped: making them, showing what holds them, checking them and wrapping them anew."""

from __future__ import annotations

import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import KEY, PLAIN, connectors, environment, names

from connectors.keys import forget, key_id, reference, resolve
from connectors.secrets import SecretKey

WORDS = "correct horse battery staple"
QUICK = "n=16384"


@pytest.fixture
def keys(home: Path) -> Path:
    """A folder with a passphrase, another one, and a key that wraps others."""
    (home / "words").write_text(f"{WORDS}\n")
    (home / "new-words").write_text("other words\n")
    (home / "kek.hex").write_text("77" * 32)
    return home


def under_kek(home: Path) -> list[str]:
    return ["--wrap", "wrapped", "by.source=file", f"by.path={home}/kek.hex"]


def key_in(path: Path) -> SecretKey:
    found = reference(json.loads(path.read_text()))
    forget([found])
    return resolve(found)


class TestKeygen:
    def test_key_is_wrapped_from_the_start(self, keys):
        done = connectors("keygen", "new.json", *under_kek(keys), cwd=keys)
        assert (done.code, done.out, done.err) == (0, b"", "")
        assert stat.S_IMODE((keys / "new.json").stat().st_mode) == 0o600
        assert len(key_in(keys / "new.json").reveal()) == 32

    def test_key_is_wrapped_under_a_passphrase(self, keys):
        done = connectors("keygen", "new.json", "--passphrase-file", "words", QUICK, cwd=keys)
        assert (done.code, done.out, done.err) == (0, b"", "")
        document = json.loads((keys / "new.json").read_text())
        assert document.keys() == {"source", "n", "salt", "wrapped"}
        assert WORDS not in (keys / "new.json").read_text()

    def test_key_that_exists_is_wrapped(self, keys):
        assert connectors("keygen", "new.json", "--from", "key.hex", *under_kek(keys), cwd=keys).code == 0
        assert key_in(keys / "new.json") == SecretKey(KEY)
        assert (keys / "key.hex").read_text() == KEY

    def test_reference_is_printed_without_a_file(self, keys):
        done = connectors("keygen", *under_kek(keys), cwd=keys)
        assert json.loads(done.out).keys() == {"source", "by", "wrapped"}

    def test_members_may_be_in_a_file(self, keys):
        place = {"source": "wrapped", "by": {"source": "file", "path": f"{keys}/kek.hex"}}
        (keys / "place.json").write_text(json.dumps(place))
        assert connectors("keygen", "new.json", "--wrap", "place.json", cwd=keys).code == 0
        assert len(key_in(keys / "new.json").reveal()) == 32

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["--wrap", "vualt"], "there is no key source 'vualt'; did you mean vault?"),
            (["--wrap", "file", "path=a"], "the key source 'file' wraps no keys"),
            (["--wrap", "wrapped"], "wrapped: by: required"),
            (["--wrap", "passphrase", "n=7"], "passphrase: n: the minimum is 16384"),
            (["--wrap", "passphrase", "n=many"], "passphrase: n: a whole number"),
            (["--wrap", "passphrase", "m=7"], "passphrase: m: unknown member"),
            (["--wrap", "wrapped", "by=a", "by.path=b"], "by is given as a value and as an object"),
            (["--wrap", "passphrase", "n=1", "n=2"], "n is given twice"),
            (["--wrap", "passphrase", "=2"], "is given as MEMBER=VALUE"),
            (["--wrap", "wrapped", "--passphrase"], "exclude each other"),
            (["n=16384"], "n=… belongs to a key source: --wrap SOURCE"),
            (["--from", "key.hex"], "say what by: --passphrase, or --wrap SOURCE"),
            (["--passphrase"], "cannot be asked for without a terminal; use --passphrase-file FILE"),
        ],
    )
    def test_words_that_make_no_key_are_refused(self, keys, words, told):
        before = names(keys)
        assert told in connectors("keygen", "new.json", *words, cwd=keys).error()
        assert names(keys) == before

    @pytest.mark.parametrize(
        ("source", "member"),
        [
            ("vault", "token"),
            ("vault", "approle.secret_id"),
            ("aws-kms", "secret_access_key"),
            ("azure-key-vault", "client_secret"),
            ("gcp-kms", "token"),
            ("gcp-kms", "service_account.private_key"),
            ("pkcs11", "pin"),
        ],
    )
    def test_secret_on_the_command_line_is_refused(self, keys, source, member):
        told = connectors("keygen", "new.json", "--wrap", source, f"{member}=hunter2hunter2", cwd=keys).error()
        assert told.startswith(f"{member} is a secret, which other users of this machine could see")
        assert "hunter2" not in told

    def test_existing_file_is_not_replaced(self, keys):
        assert "already exists" in connectors("keygen", "key.hex", *under_kek(keys), cwd=keys).error()
        assert (keys / "key.hex").read_text() == KEY


class TestKeyFiles:
    def test_reference_is_a_key_file(self, keys):
        assert connectors("keygen", "key.json", "--from", "key.hex", *under_kek(keys), cwd=keys).code == 0
        assert connectors("decrypt", "-K", "key.json", "-in", "sealed", "-out", "copy", cwd=keys).code == 0
        assert (keys / "copy").read_bytes() == PLAIN
        assert connectors("encrypt", "-K", "key.json", "-in", "plain", "-out", "again", cwd=keys).code == 0
        assert connectors("decrypt", "-K", "key.hex", "-in", "again", "-out", "-", cwd=keys).out == PLAIN

    def test_wide_key_file_is_warned_about(self, keys):
        (keys / "key.hex").chmod(0o640)
        command = [sys.executable, "-m", "connectors", "decrypt", "-K", "key.hex", "-in", "sealed", "-out", "copy"]
        done = subprocess.run(command, cwd=keys, env=environment(), capture_output=True, text=True, check=True)
        warning = "connectors: warning: the key file 'key.hex' can be read or changed by other users of this machine"
        assert done.stderr.startswith(warning)
        assert "(mode 0640)" in done.stderr


class TestKeys:
    def test_sources_are_listed(self, keys):
        lines = connectors("keys", cwd=keys).out.decode().splitlines()
        assert lines[0].split()[0] == "SOURCE"
        assert any(re.match(r"passphrase +a passphrase +yes +enclave-connectors ", line) for line in lines)
        listed = json.loads(connectors("keys", "--json", cwd=keys).out)
        assert {"name": "file", "wraps": False}.items() <= next(one for one in listed if one["name"] == "file").items()


class TestKey:
    @pytest.fixture
    def documents(self, keys: Path) -> Path:
        """An app config with two datasets, one of whose keys is in its document, and one in a file."""
        root = keys / "app"
        for name, key in (("one", KEY), ("two", {"source": "file", "path": "keys/two.hex"})):
            folder = root / "input" / name / "dataset"
            folder.mkdir(parents=True)
            document = {"encryption": {"key": key, "former_keys": ["ab" * 32] if name == "one" else []}}
            (folder / "credentials.bin").write_text(json.dumps(document))
        (root / "keys").mkdir()
        (root / "keys" / "two.hex").write_text("02" * 32)
        (root / "other.json").write_text('{"colour": "green"}')
        return root

    def test_show_asks_nobody_and_shows_no_key(self, keys, documents):
        (documents / "keys" / "two.hex").unlink()
        done = connectors("key", "show", "app", cwd=keys)
        assert done.err == ""
        table = [line.split("  ")[0] for line in done.out.decode().splitlines()]
        assert table == [
            "DOCUMENT",
            *["app/input/one/dataset/credentials.bin"] * 2,
            "app/input/two/dataset/credentials.bin",
        ]
        assert key_id(SecretKey(KEY)) in done.out.decode()
        assert "the key file keys/two.hex" in done.out.decode()
        assert KEY.lower() not in done.out.decode().lower()

    def test_check_shows_ids_of_keys_that_are_given(self, keys, documents):
        done = connectors("key", "check", "app", "--json", cwd=keys)
        assert done.code == 0
        assert [(one["member"], one["id"]) for one in json.loads(done.out)] == [
            ("encryption.key", key_id(SecretKey(KEY))),
            ("encryption.former_keys.0", key_id(SecretKey("ab" * 32))),
            ("encryption.key", key_id(SecretKey("02" * 32))),
        ]

    def test_check_fails_if_a_key_is_not_given(self, keys, documents):
        (documents / "keys" / "two.hex").unlink()
        done = connectors("key", "check", "app", cwd=keys)
        assert done.code == 2
        assert "two/dataset/credentials.bin: encryption.key: the key file 'keys/two.hex' is missing" in done.err

    def test_rewrap_keeps_the_keys_and_replaces_the_documents(self, keys, documents):
        before = connectors("key", "check", "app", "--json", cwd=keys).out
        done = connectors("key", "rewrap", "app", *under_kek(keys), cwd=keys, stdin=b"")
        # The key that wraps the others is outside the app config, whose documents name files below it.
        assert done.code == 2
        assert "must be a path below the app config's root" in done.err
        (documents / "keys" / "kek.hex").write_text("77" * 32)
        wrap = ["--wrap", "wrapped", "by.source=file", "by.path=keys/kek.hex"]
        done = connectors("key", "rewrap", "app", *wrap, cwd=keys)
        assert done.out == b"3 keys in 2 documents wrapped anew: a key wrapped under the key file keys/kek.hex\n"
        after = json.loads(connectors("key", "check", "app", "--json", cwd=keys).out)
        assert [one["id"] for one in after] == [one["id"] for one in json.loads(before)]
        assert {one["held_by"] for one in after} == {"a key wrapped under the key file keys/kek.hex"}
        for path in documents.glob("input/*/dataset/credentials.bin"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert KEY.lower() not in path.read_text().lower()

    def test_column_keys_are_shown_and_wrapped_anew(self, keys):
        columns = {"pii": "ab" * 32, "lab": {"source": "file", "path": f"{keys}/kek.hex"}}
        (keys / "c.json").write_text(json.dumps({"encryption": {"key": KEY, "columns": columns}, "layout": "folder"}))
        before = json.loads(connectors("key", "check", "c.json", "--json", cwd=keys).out)
        members = ["encryption.key", "encryption.columns.pii", "encryption.columns.lab"]
        assert [one["member"] for one in before] == members
        assert connectors("key", "rewrap", "c.json", *under_kek(keys), cwd=keys).code == 0
        after = json.loads(connectors("key", "check", "c.json", "--json", cwd=keys).out)
        assert [one["id"] for one in after] == [one["id"] for one in before]
        assert "ab" * 32 not in (keys / "c.json").read_text()
        assert json.loads((keys / "c.json").read_text())["layout"] == "folder"

    def test_rewrap_changes_a_passphrase(self, keys):
        made = connectors("keygen", "key.json", "--from", "key.hex", "--passphrase-file", "words", QUICK, cwd=keys)
        assert made.code == 0
        changed = ["--passphrase-file", "words", "--new-passphrase-file", "new-words", QUICK]
        assert connectors("key", "rewrap", "key.json", *changed, cwd=keys).code == 0
        assert (
            "does not open this key"
            in connectors("key", "check", "key.json", "--passphrase-file", "words", cwd=keys).err
        )
        done = connectors("key", "check", "key.json", "--passphrase-file", "new-words", "--json", cwd=keys)
        assert json.loads(done.out)[0]["id"] == key_id(SecretKey(KEY))

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (["key.hex", "--new-passphrase-file", "words", QUICK], "wrap its key into another file: connectors keygen"),
            (["key.hex"], "say what the keys are to be wrapped by"),
            (["folder", "--new-passphrase-file", "words"], "no document with a key in 'folder'"),
            (["missing.json", "--new-passphrase-file", "words"], "there is no document 'missing.json'"),
        ],
    )
    def test_rewrap_refuses_what_it_cannot_replace(self, keys, words, told):
        assert told in connectors("key", "rewrap", *words, cwd=keys).error()
        assert (keys / "key.hex").read_text() == KEY

    def test_rewrap_that_fails_leaves_the_document(self, keys, documents):
        path = documents / "input/two/dataset/credentials.bin"
        before = path.read_text()
        (documents / "keys" / "two.hex").unlink()
        assert connectors("key", "rewrap", str(path), *under_kek(keys), cwd=keys).code == 2
        assert path.read_text() == before
        assert os.listdir(path.parent) == ["credentials.bin"]


def test_rewrap_of_a_thousand_documents_touches_no_data(keys):
    """Their datasets are on a server that nobody asks anything."""
    with socket.create_server(("127.0.0.1", 0)) as storage:
        storage.setblocking(False)
        location = f"http://127.0.0.1:{storage.getsockname()[1]}"
        documents = {}
        for number in range(1000):
            key = SecretKey.generate()
            folder = keys / "app" / "input" / f"ward-{number}" / "dataset"
            folder.mkdir(parents=True)
            (folder / "location.txt").write_text(f"{location}/ward-{number}")
            (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": key.reveal().hex()}}))
            documents[folder / "credentials.bin"] = key
        (keys / "app" / "keys").mkdir()
        (keys / "app" / "keys" / "kek.hex").write_text("77" * 32)
        wrap = ["--wrap", "wrapped", "by.source=file", "by.path=keys/kek.hex"]
        done = connectors("key", "rewrap", "app", *wrap, cwd=keys)
        assert done.out.startswith(b"1,000 keys in 1,000 documents wrapped anew")
        with pytest.raises(BlockingIOError):
            storage.accept()
    for path, key in documents.items():
        assert resolve(reference(json.loads(path.read_text())["encryption"]["key"]), str(keys / "app")) == key


class TestFormats:
    def test_dataset_new_writes_the_format(self, keys):
        (keys / "c.json").write_text(json.dumps({"encryption": {"key": KEY}}))
        words = ["app", "input", "one", "--location", "memory://a/b", "--credentials", "c.json", "--format", "gcm"]
        assert connectors("dataset", "new", *words, cwd=keys).code == 0
        written = json.loads((keys / "app/input/one/dataset/credentials.bin").read_text())
        assert written == {"encryption": {"key": KEY, "format": "gcm"}}
        (keys / "c.json").write_text(json.dumps({"encryption": {"key": KEY, "format": "cobblestone-256"}}))
        assert "names no format yet" in connectors("dataset", "new", *words, "--force", cwd=keys).error()


class TestRewrapping:
    """What rewrapping must not lose."""

    @pytest.fixture
    def folder(self, keys: Path) -> Path:
        """Three documents under a passphrase."""
        (keys / "documents").mkdir()
        for name in "abc":
            words = ["keygen", f"documents/{name}.json", "--passphrase-file", "words", QUICK]
            assert connectors(*words, cwd=keys).code == 0
        return keys / "documents"

    CHANGE = ("--passphrase-file", "words", "--new-passphrase-file", "new-words", QUICK)

    def test_stopped_run_is_continued(self, keys, folder):
        before = json.loads(
            connectors("key", "check", "documents", "--passphrase-file", "words", "--json", cwd=keys).out
        )
        assert connectors("key", "rewrap", "documents/a.json", *self.CHANGE, cwd=keys).code == 0
        done = connectors("key", "rewrap", "documents", *self.CHANGE, cwd=keys)
        assert done.text == "2 keys in 2 documents wrapped anew: a passphrase\n"
        words = ["key", "check", "documents", "--passphrase-file", "new-words", "--json"]
        after = json.loads(connectors(*words, cwd=keys).out)
        assert [one["id"] for one in after] == [one["id"] for one in before]

    def test_refused_key_names_its_document_and_nothing_is_replaced(self, keys, folder):
        (keys / "third-words").write_text("third")
        change = ["--passphrase-file", "words", "--new-passphrase-file", "third-words", QUICK]
        assert connectors("key", "rewrap", "documents/b.json", *change, cwd=keys).code == 0
        before = {path: path.read_bytes() for path in folder.iterdir()}
        told = connectors("key", "rewrap", "documents", *self.CHANGE, cwd=keys).error()
        assert told.startswith("documents/b.json: the key: the passphrase does not open this key")
        assert {path: path.read_bytes() for path in folder.iterdir()} == before

    def test_links_and_permissions_stay(self, keys, folder):
        (folder / "a.json").chmod(0o640)
        os.symlink("a.json", folder / "link.json")
        done = connectors("key", "rewrap", "documents", *self.CHANGE, cwd=keys)
        assert done.text == "3 keys in 3 documents wrapped anew: a passphrase\n"
        assert (folder / "link.json").is_symlink()
        assert stat.S_IMODE((folder / "a.json").stat().st_mode) == 0o640

    def test_passphrase_file_with_a_byte_order_mark_is_the_same_passphrase(self, keys):
        (keys / "marked").write_bytes(b"\xef\xbb\xbf" + WORDS.encode() + b"\r\n")
        assert connectors("keygen", "new.json", "--passphrase-file", "marked", QUICK, cwd=keys).code == 0
        assert connectors("key", "check", "new.json", "--passphrase-file", "words", cwd=keys).code == 0

    def test_other_files_in_a_folder_are_told_or_passed_over(self, keys, folder):
        (folder / "list.json").write_text("[1, 2]")
        (folder / "large.json").write_text(json.dumps({"source": "x" * (1 << 21)}))
        (folder / ".hidden").mkdir()
        (folder / ".hidden" / "broken.json").write_text('{"source": ')
        (folder / "broken.json").write_text('{"source": ')
        done = connectors("key", "check", "documents", "--passphrase-file", "words", "--json", cwd=keys)
        assert done.code == 2
        assert [one["document"] for one in json.loads(done.out)] == [f"documents/{name}.json" for name in "abc"]
        assert done.err.startswith("connectors: error: documents/broken.json: the credentials are not a valid document")
        assert done.err.count("\n") == 1
        assert "documents/broken.json" in connectors("key", "rewrap", "documents", *self.CHANGE, cwd=keys).error()

    def test_kubernetes_volume_is_read_through_its_links(self, keys):
        real = keys / "app" / "input" / "..2026" / "dataset"
        real.mkdir(parents=True)
        (real / "credentials.bin").write_text(json.dumps({"encryption": {"key": {"source": "file", "path": "k.hex"}}}))
        (keys / "app" / "k.hex").write_text(KEY)
        os.symlink("..2026", keys / "app" / "input" / "..data")
        os.symlink("..data", keys / "app" / "input" / "conditions")
        (one,) = json.loads(connectors("key", "check", "app", "--json", cwd=keys).out)
        assert (one["document"], one["problem"]) == ("app/input/conditions/dataset/credentials.bin", None)

    @pytest.mark.parametrize("words", [[], ["by.source=file"]])
    def test_documents_must_be_named(self, keys, words):
        told = connectors("key", "rewrap", *words, "--new-passphrase-file", "words", cwd=keys)
        assert told.code == 2
        assert told.out == b""

    def test_path_with_an_equals_sign_is_a_path(self, keys, folder):
        os.rename(folder, keys / "year=2026")
        done = connectors("key", "rewrap", "year=2026/a.json", *self.CHANGE, cwd=keys)
        assert done.text == "1 key in 1 document wrapped anew: a passphrase\n"


def test_reference_for_an_app_config_names_files_in_it(keys):
    (keys / "app").mkdir()
    (keys / "app" / "kek.hex").write_text("77" * 32)
    words = ["keygen", "new.json", "--app-config", "app", "--wrap", "wrapped", "by.source=file", "by.path=kek.hex"]
    assert connectors(*words, cwd=keys).code == 0
    assert json.loads((keys / "new.json").read_text())["by"] == {"source": "file", "path": "kek.hex"}


def test_nobody_to_ask_is_advised_as_the_command_allows(keys):
    assert (
        connectors("keygen", "key.json", "--from", "key.hex", "--passphrase-file", "words", QUICK, cwd=keys).code == 0
    )
    told = connectors("decrypt", "-K", "key.json", "-in", "sealed", "-out", "copy", cwd=keys).error()
    assert told.endswith(
        'cannot be asked for without a terminal; name a file that holds it in the reference: "file": "PATH"'
    )
    told = connectors("key", "check", "key.json", cwd=keys)
    assert "use --passphrase-file FILE" in told.err
