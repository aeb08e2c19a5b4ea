"""What a token refuses, what its module shares with other code of the process, and what documents may not choose."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from canaries import Canaries
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from cryptography.hazmat.primitives.serialization import load_der_public_key
from patience import PATIENCE
from softhsm import Hsm
from watching import everything_logged, frames_of, texts_of

from connectors.errors import ConfigError, ConnectorError, InvalidCredentials, KeyRefused, KeyUnavailable
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import Hidden, SecretKey, SecretText
from connectors.testing.tools import in_child
from connectors_pkcs11.reference import Pkcs11Reference
from connectors_pkcs11.token import Token, _initialised

KEY = SecretKey("a5" * 32)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let further attempts follow at once."""
    monkeypatch.setattr("connectors_pkcs11.token._PAUSES", (0.001, 0.001, 0.001))


def unwrapped(document: dict[str, Any], root: Path | None = None) -> SecretKey:
    return source_of("pkcs11").unwrap(reference(document), str(root) if root else None)


def digits(document: dict[str, Any]) -> str:
    return unwrapped(document).reveal().hex()


class TestPeers:
    """What a token wraps, and what it unwraps, is the same elsewhere."""

    def test_aes_key_wrap_is_that_of_rfc_3394(self, safe: Any) -> None:
        assert aes_key_unwrap(safe.kek, base64.b64decode(safe.wrap(KEY)["wrapped"])) == KEY.reveal()

    def test_key_encrypted_with_the_public_key_alone_is_unwrapped(self, hsm: Hsm) -> None:
        public = load_der_public_key(hsm.make_pair("pair"))
        assert isinstance(public, rsa.RSAPublicKey)
        wrapped = public.encrypt(KEY.reveal(), padding.OAEP(padding.MGF1(SHA1()), SHA1(), None))
        place = {"source": "pkcs11", "module": hsm.module, "token": hsm.token, "pin": hsm.pin, "key": "pair"}
        place |= {"mechanism": "RSA_PKCS_OAEP", "hash": "SHA1", "wrapped": base64.b64encode(wrapped).decode()}
        assert unwrapped(place) == KEY

    def test_gcm_without_a_context_is_that_of_others(self, safe: Any) -> None:
        wrapped = base64.b64decode(safe.wrap(KEY, mechanism="AES_GCM")["wrapped"])
        assert AESGCM(safe.kek).decrypt(wrapped[:12], wrapped[12:], None) == KEY.reveal()

    def test_two_wraps_by_gcm_differ(self, safe: Any) -> None:
        wrapped = {safe.wrap(KEY, mechanism="AES_GCM")["wrapped"] for _ in range(2)}
        assert len(wrapped) == 2


class TestModules:
    """The owner of the machine says which modules are loaded."""

    @pytest.mark.parametrize("allowed", ["", "/usr/lib", "{module}.2", ":", "/usr/lib/a.so:/usr/lib/b.so"])
    def test_module_that_is_not_allowed_is_not_loaded(
        self, safe: Any, monkeypatch: pytest.MonkeyPatch, allowed: str
    ) -> None:
        document = safe.wrap(KEY)
        monkeypatch.setenv("CONNECTORS_PKCS11_MODULES", allowed.format(module=safe.hsm.module))
        monkeypatch.setattr(pkcs11, "lib", lambda _: pytest.fail("it was loaded"))
        with pytest.raises(ConfigError, match="is not allowed on this machine: .* add it to CONNECTORS_PKCS11_MODULES"):
            unwrapped(document)

    @pytest.mark.parametrize("content", [None, b"not a library"])
    def test_module_that_cannot_be_loaded_is_told(
        self, safe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
    ) -> None:
        path = tmp_path / "module.so"
        if content is not None:
            path.write_bytes(content)
        monkeypatch.setenv("CONNECTORS_PKCS11_MODULES", str(path))
        with pytest.raises(ConfigError, match=r"module\.so cannot be loaded; install it, or correct its path"):
            safe.wrap(KEY, module=str(path))


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "kind", "told"),
        [
            ({"pin": "wrong-pin-of-mine"}, KeyRefused, r"\(PinIncorrect\): the PIN is wrong; correct it before"),
            ({"key": "unknown"}, KeyRefused, r"key unknown in .*\(NoSuchKey\): it has no such key; check its label"),
            ({"id": "ff"}, KeyRefused, r"the key kek \(id ff\) in the PKCS#11 token clinic-.*\(NoSuchKey\)"),
            ({"mechanism": "RSA_PKCS_OAEP"}, KeyRefused, "NoSuchKey"),
            ({"token": "unplugged"}, KeyUnavailable, "there is no PKCS#11 token unplugged in .*connect it, or correct"),
        ],
    )
    def test_refusal_says_what_to_do(
        self, safe: Any, changes: dict[str, Any], kind: type[ConnectorError], told: str
    ) -> None:
        with pytest.raises(kind, match=told):
            unwrapped({**safe.wrap(KEY), **changes})

    def test_hash_that_the_token_lacks_is_told(self, pair: Any) -> None:
        with pytest.raises(KeyRefused, match="does not have this mechanism with this hash; choose another one"):
            pair.wrap(KEY, hash=None)

    def test_key_with_another_kind_s_mechanism_is_told(self, safe: Any) -> None:
        with pytest.raises(
            KeyRefused, match="the key was wrapped by another key or with another context, or was changed"
        ):
            unwrapped({**safe.wrap(KEY, mechanism="AES_GCM"), "mechanism": "AES_KEY_WRAP"})

    @pytest.mark.parametrize(
        ("mechanism", "right"), [("AES_KEY_WRAP", "WRAP"), ("AES_GCM", "ENCRYPT")], ids=["wrap", "encrypt"]
    )
    def test_key_that_may_not_wrap_is_told(self, safe: Any, mechanism: str, right: str) -> None:
        safe.hsm.import_key("bound", safe.kek, b"\x07", **{right: False})
        with pytest.raises(KeyRefused, match=r"the key's attributes do not permit that \(CKA_WRAP and CKA_UNWRAP"):
            safe.wrap(KEY, key="bound", mechanism=mechanism)

    def test_id_chooses_among_keys_of_one_label(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        safe.hsm.import_key("kek", os.urandom(32), b"\x09")
        with pytest.raises(KeyRefused, match="it has several such keys; give the id as well"):
            unwrapped(document)
        assert unwrapped({**document, "id": "01"}) == KEY
        document.pop("key")
        assert unwrapped({**document, "id": "01"}) == KEY
        with pytest.raises(KeyRefused, match="wrapped by another key"):
            unwrapped({**document, "id": "09"})

    @pytest.mark.parametrize("mechanism", ["AES_KEY_WRAP", "AES_GCM"])
    @pytest.mark.parametrize("size", [1, 8, 12, 16, 24, 28, 41, 1 << 16])
    def test_wrapped_key_of_another_size_is_refused(self, safe: Any, mechanism: str, size: int) -> None:
        document = {**safe.wrapping(), "mechanism": mechanism, "wrapped": base64.b64encode(bytes(size)).decode()}
        with pytest.raises(KeyRefused):
            unwrapped(document)

    @pytest.mark.parametrize("size", [1, 255, 257, 1 << 16])
    def test_wrapped_key_of_another_size_than_rsa_s_is_refused(self, pair: Any, size: int) -> None:
        with pytest.raises(KeyRefused):
            unwrapped({**pair.wrapping(), "wrapped": base64.b64encode(bytes(size)).decode()})

    def test_changed_pin_is_refused_until_it_is_given(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        safe.hsm.set_pin("another-pin-of-mine")
        with pytest.raises(KeyRefused, match="the PIN is wrong"):
            unwrapped(document)
        assert unwrapped({**document, "pin": safe.hsm.pin}) == KEY

    @pytest.mark.parametrize("context", [None, "dataset conditions"])
    def test_another_context_is_refused(self, safe: Any, context: str | None) -> None:
        document = safe.wrap(KEY, mechanism="AES_GCM", context=context)
        assert unwrapped(document) == KEY
        for other in {None, "dataset conditions", "dataset deaths"} - {context}:
            with pytest.raises(KeyRefused, match="or with another context"):
                unwrapped({**document, "context": other})

    def test_wrong_pin_is_tried_once(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        wrong = {**document, "pin": "wrong-pin-of-mine"}
        with pytest.raises(KeyRefused, match=r"\(PinIncorrect\): the PIN is wrong"):
            unwrapped(wrong)
        assert safe.hsm.has_seen_wrong_pins()
        assert unwrapped(document) == KEY
        for work in (unwrapped, lambda place: safe.wrap(KEY, pin=place["pin"])):
            with pytest.raises(KeyRefused, match="has refused this PIN before, and this process does not try it again"):
                work(wrong)
        with ThreadPoolExecutor(4) as pool:
            errors = [pool.submit(unwrapped, {**document, "pin": "another-wrong-pin"}).exception() for _ in range(4)]
        assert sorted("refused this PIN before" in str(error) for error in errors) == [False, True, True, True]
        assert unwrapped(document) == KEY
        assert not safe.hsm.has_seen_wrong_pins()
        with pytest.raises(KeyRefused, match="has refused this PIN before"):
            unwrapped(wrong)
        assert not safe.hsm.has_seen_wrong_pins()

    def test_token_that_comes_back_at_once_is_found(self, safe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        document, pauses = safe.wrap(KEY), []

        def pause(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 2:
                safe.hsm.reconnect()

        monkeypatch.setattr(time, "sleep", pause)
        safe.hsm.disconnect()
        assert unwrapped(document) == KEY
        assert len(pauses) == 2
        safe.hsm.disconnect()
        pauses[:] = [0.0] * 2
        with pytest.raises(KeyUnavailable, match="there is no PKCS#11 token"):
            unwrapped(document)
        assert len(pauses) == 2 + 3


class TestPinFiles:
    def test_pin_is_read_below_the_root(self, safe: Any, private: Callable[[str, str], str], tmp_path: Path) -> None:
        document = safe.wrap(KEY)
        private("pin", document.pop("pin") + "\r\n")
        assert unwrapped({**document, "pin_file": "pin"}, tmp_path) == KEY
        with pytest.raises(ConfigError, match="must be a path below the app config's root"):
            unwrapped({**document, "pin_file": str(tmp_path / "pin")}, tmp_path)

    def test_file_that_is_no_text_is_told(self, safe: Any, tmp_path: Path) -> None:
        document = safe.wrap(KEY)
        del document["pin"]
        (tmp_path / "pin").touch(0o600)
        (tmp_path / "pin").write_bytes(b"\xff\xfe1\x002\x00")
        with pytest.raises(ConfigError, match="is not text; save it as UTF-8"):
            unwrapped({**document, "pin_file": str(tmp_path / "pin")})


class TestSharing:
    """The module is one for the whole process, whoever uses it."""

    def test_threads_take_turns(self, safe: Any) -> None:
        keys = [SecretKey.generate() for _ in range(6)]
        with ThreadPoolExecutor(6) as pool:
            documents = list(pool.map(safe.wrap, keys))
            assert list(pool.map(unwrapped, documents)) == keys

    def test_session_of_other_code_stays_open(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        library = pkcs11.lib(safe.hsm.module)
        try:
            with library.get_token(token_label=safe.hsm.token).open(user_pin=safe.hsm.pin) as session:
                assert unwrapped(document) == KEY  # by the login that is there
                assert session.get_key(label="kek").label == "kek"
            assert library.initialized
        finally:
            library.finalize()

    def test_nothing_stays_open(self, safe: Any) -> None:
        unwrapped(safe.wrap(KEY))
        library = pkcs11.lib(safe.hsm.module)
        try:
            with pytest.raises(pkcs11.NoSuchKey):
                library.get_token(token_label=safe.hsm.token).open().get_key(
                    label="kek"
                )  # private: nobody is logged in
        finally:
            library.finalize()

    def test_fork_waits_for_the_operation_of_another_thread(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        found = reference(document)
        assert isinstance(found, Pkcs11Reference)
        began, done = threading.Event(), []

        def work(session: Any) -> Hidden:
            began.set()
            time.sleep(0.2)  # a fork that does not wait happens now
            label = session.get_key(label="kek").label
            done.append(label)
            return Hidden(label)

        thread = threading.Thread(target=Token(found, SecretText(safe.hsm.pin))._do, args=("test", work))
        thread.start()
        assert began.wait(PATIENCE)
        assert in_child("fork", lambda: (list(done), digits(document))) == (["kek"], KEY.reveal().hex())
        thread.join()

    def test_child_of_a_process_that_is_at_work_begins_anew(self, safe: Any) -> None:
        document = safe.wrap(KEY)
        with _initialised(safe.hsm.module) as module:
            session = module.get_token(token_label=safe.hsm.token).open(user_pin=safe.hsm.pin)
            assert in_child("fork", digits, document) == KEY.reveal().hex()
            assert session.get_key(label="kek").label == "kek"


@pytest.mark.parametrize("failing", ["pin", "key", "changed", "token", "hash"])
def test_no_secret_is_shown_whatever_fails(safe: Any, failing: str) -> None:
    document = safe.wrap(KEY)
    pin = safe.hsm.pin if failing != "pin" else "wrong-pin-of-mine"
    changes = {
        "pin": {"pin": pin},
        "key": {"key": "unknown"},
        "changed": {"wrapped": base64.b64encode(bytes(40)).decode()},
        "token": {"token": "unplugged"},
        "hash": {"mechanism": "RSA_PKCS_OAEP"},
    }
    found, place = (
        reference({**document, **changes[failing]}),
        wrapping({**safe.wrapping(), **changes[failing]}) if (failing != "changed") else None,
    )
    with everything_logged() as logged:
        errors = []
        for work in (
            lambda: source_of("pkcs11").unwrap(found, None),
            lambda: source_of("pkcs11").wrap(KEY, place, None) if place else None,
        ):
            try:
                work()
            except ConnectorError as error:
                errors.append(error)
    assert errors
    marks = Canaries({"PIN": pin, "key": KEY.reveal(), "key of the token": safe.kek})
    marks.check("logs", logged)
    for error in errors:
        assert error.__context__ is None
        marks.check("texts and frames", [*texts_of(error), *(text for _, text in frames_of(error))])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"module": "libsofthsm2.so"}, "module: not the absolute path of a PKCS#11 module"),
        ({"module": "/usr/lib/../evil.so"}, "module: not the absolute path of a PKCS#11 module"),
        ({"token": ""}, "token: not the label of a token"),
        ({"token": "a" * 33}, "token: not the label of a token"),
        ({"key": "a\nb"}, "key: not the label of a key"),
        ({"key": None}, "give the key's label as key, or its id, or both"),
        ({"id": "0"}, "id: not the ID of a key, which is hexadecimal digits in pairs"),
        ({"pin": None}, "no credentials are given: give exactly one of pin and pin_file"),
        ({"pin_file": "pin"}, "give exactly one of pin and pin_file"),
        ({"mechanism": "AES_CBC"}, "mechanism: 'AES_KEY_WRAP', 'AES_GCM' or 'RSA_PKCS_OAEP' is expected"),
        ({"hash": "SHA256"}, "hash needs the mechanism RSA_PKCS_OAEP"),
        ({"context": "dataset"}, "context needs the mechanism AES_GCM"),
        ({"mechanism": "AES_GCM", "context": ""}, "context: "),
        ({"mechanism": "AES_GCM", "context": "\ud800"}, "context: it contains half of a surrogate pair"),
        ({"pin": "hunter\ud800"}, "pin: it contains half of a surrogate pair"),
        ({"wrapped": "not base64!"}, "wrapped: base64 text is expected"),
    ],
)
def test_invalid_reference_is_refused(changes: dict[str, Any], told: str) -> None:
    document = {"source": "pkcs11", "module": "/usr/lib/a.so", "token": "clinic", "key": "kek", "pin": "1234"}
    with pytest.raises(InvalidCredentials) as caught:
        reference({**document, "wrapped": "AAAA", **changes})
    assert told in str(caught.value)
    assert "hunter" not in "".join(texts_of(caught.value))
