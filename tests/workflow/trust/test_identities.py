"""Identities: keys that a passphrase opens, credentials that stay with their owner, and a list of trusted parties."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from parties import decided, person, requested
from patience import until

from connectors.errors import ConfigError, InvalidDocument, NotApproved, ObjectExists
from connectors.workflow.documents.canonical import canonical_bytes
from connectors.workflow.documents.commitment import OpenedCredentials, commit, matches
from connectors.workflow.trust.identities import Identities
from connectors.workflow.trust.private_keys import decrypted, encrypted
from connectors.workflow.trust.signing import sign

PASSPHRASE = "correct horse 5EC2E7"


def never(what: str) -> str:
    raise AssertionError(what)


@pytest.fixture
def known(tmp_path) -> Identities:
    return Identities(str(tmp_path / "identities"))


def mode(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


# Keys


def test_new_identity_signs_once_its_passphrase_is_given(known):
    made = known.new("clinic", "data@clinic.example", passphrase=PASSPHRASE, party_name="Klinik Süd", group="north")
    assert (made.party.name, made.party.contact, made.party.group) == ("Klinik Süd", "data@clinic.example", "north")
    chosen = known.choose(None)
    assert chosen == made
    asked = []
    signer = chosen.signer(lambda what: asked.append(what) or PASSPHRASE)
    assert asked == ["passphrase of clinic"]
    _, request = requested()
    sign(request, signer).verify(chosen.party)
    with pytest.raises(NotApproved):
        sign(request, signer).verify(person("Dr. Eve").party)


def test_private_key_is_encrypted_in_files_readable_by_the_owner_only(known):
    made = known.new("clinic", "c", passphrase=PASSPHRASE)
    key = decrypted(Path(made.folder, "key.pem").read_bytes(), PASSPHRASE.encode())
    raw = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    for path in Path(known.folder).rglob("*"):
        if path.is_dir():
            assert mode(path) == 0o700
        else:
            assert mode(path) == 0o600
            assert raw not in path.read_bytes()
            assert base64.b64encode(raw) not in path.read_bytes()
            assert PASSPHRASE.encode() not in path.read_bytes()
    assert mode(known.folder) == 0o700
    assert sorted(os.listdir(made.folder)) == ["key.pem", "party.json"]


@pytest.mark.parametrize("passphrase", ["", "wrong", PASSPHRASE + " "])
def test_wrong_passphrase_opens_nothing(known, passphrase):
    made = known.new("clinic", "c", passphrase=PASSPHRASE)
    with pytest.raises(ConfigError, match="the passphrase of the private key is wrong") as caught:
        made.signer(lambda what: passphrase)
    assert "5EC2E7" not in str(caught.value)


def test_key_in_the_clear_needs_no_passphrase(known):
    made = known.new("clinic", "c", passphrase=None)
    assert made.signer(never)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_openssl_reads_what_is_encrypted_here(kind, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    (tmp_path / "key.pem").write_bytes(encrypted(key, PASSPHRASE.encode()))
    command = ["openssl", "pkey", "-in", "key.pem", "-passin", f"pass:{PASSPHRASE}", "-pubout"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    shown = subprocess.run(["openssl", "asn1parse", "-in", "key.pem"], cwd=tmp_path, capture_output=True, check=False)
    assert b":scrypt" in shown.stdout
    assert b":aes-256-cbc" in shown.stdout


def test_encrypted_key_that_was_changed_is_refused():
    key = ed25519.Ed25519PrivateKey.generate()
    pem = encrypted(key, b"x")
    lines = pem.splitlines(keepends=True)
    for damaged in (b"", pem[:100], b"".join([*lines[:3], lines[-1]]), b"-----BEGIN CERTIFICATE-----\n" + pem):
        try:
            found = decrypted(damaged, b"x")
        except ConfigError:
            continue
        assert found.public_key() == key.public_key()  # text in front is no part of the key


def test_key_that_others_can_read_or_that_is_not_the_partys_is_not_used(known):
    made = known.new("clinic", "c", passphrase=None)
    other = known.new("lab", "l", passphrase=None)
    path = os.path.join(made.folder, "key.pem")
    os.chmod(path, 0o640)
    with pytest.raises(ConfigError, match="other users can read"):
        made.signer(never)
    os.chmod(path, 0o600)
    shutil.copy(os.path.join(other.folder, "key.pem"), path)
    with pytest.raises(ConfigError, match="is not the key of 'clinic'"):
        made.signer(never)
    os.unlink(path)
    with pytest.raises(ConfigError, match=r"there is no .*signer\.json"):
        made.signer(never)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_key_that_lies_elsewhere_signs_by_its_uri(known, tmp_path, kind):
    key = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
    (tmp_path / "elsewhere.pem").write_bytes(encrypted(key, None))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    made = known.with_signer("clinic", "c", f"file2:{tmp_path}/elsewhere.pem", public)
    assert os.listdir(made.folder).count("key.pem") == 0
    _, request = requested()
    sign(request, known.choose("clinic").signer(never)).verify(made.party)
    (tmp_path / "elsewhere.pem").unlink()
    with pytest.raises(ConfigError, match=r"the signer 'file2:.* cannot be used: FileNotFoundError"):
        made.signer(never)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An SSH agent that holds nothing yet; returns what makes a key, adds it, and tells its public half."""
    if not all(map(shutil.which, ("ssh-agent", "ssh-add", "ssh-keygen"))):
        pytest.skip("OpenSSH is not installed")
    with tempfile.TemporaryDirectory() as short:  # a socket's name has some hundred bytes at most
        path = os.path.join(short, "agent")
        process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        until(lambda: os.path.exists(path), "the agent listens")

        def add(kind: str, *options: str) -> bytes:
            key = tmp_path / kind
            subprocess.run(
                ["ssh-keygen", "-q", "-N", "", "-t", kind.partition("-")[0], "-f", key, *options], check=True
            )
            subprocess.run(["ssh-add", "-q", key], check=True, stderr=subprocess.DEVNULL)
            return key.with_suffix(".pub").read_bytes()

        yield add
        process.terminate()
        process.wait()


@pytest.mark.parametrize(
    ("kind", "bits"),
    [("ed25519", ()), ("ecdsa", ("-b", "256")), ("ecdsa-p384", ("-b", "384")), ("rsa", ("-b", "2048"))],
)
def test_key_that_an_agent_holds_signs_as_any_other(known, agent, kind, bits):
    agent("ed25519", "-C", "another one") if kind != "ed25519" else None
    made = known.with_signer("clinic", "c", "ssh-agent:", agent(kind, *bits))
    assert sorted(os.listdir(made.folder)) == ["party.json", "signer.json"]
    _, request = requested()
    envelope = sign(request, known.choose("clinic").signer(never))
    envelope.verify(made.party)
    forged = envelope.model_copy(update={"payload": base64.b64encode(b"{}").decode()})
    with pytest.raises(NotApproved):
        forged.verify(made.party)


def test_agent_that_does_not_sign_is_told(known, agent, monkeypatch):
    made = known.with_signer("clinic", "c", "ssh-agent:", agent("ed25519"))
    _, request = requested()
    subprocess.run(["ssh-add", "-q", "-D"], check=True, stderr=subprocess.DEVNULL)
    with pytest.raises(
        ConfigError, match="no SSH agent is running, or it does not hold the key; start one, then run: ssh"
    ):
        sign(request, made.signer(never))
    monkeypatch.delenv("SSH_AUTH_SOCK")
    with pytest.raises(ConfigError, match="no SSH agent is running, or it does not hold the key"):
        sign(request, made.signer(never))
    other = known.with_signer("lab", "l", "ssh-agent:/run/agent", agent_key())
    with pytest.raises(ConfigError, match="SSH_AUTH_SOCK names the agent"):
        other.signer(never)
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(ConfigError, match=r"pip install 'enclave-connectors\[ssh-agent\]'"):
        made.signer(never)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"\x05", "did not sign: key cannot be used for signing"),
        (b"", "did not sign"),
        (b"\x0e", "did not return a valid signature with this key"),
        (b"\x0e" + bytes.fromhex("0000001a0000000cb4ff"), "did not return a valid signature with this key"),
        (
            b"\x0e" + framed(framed(b"ssh-ed25519") + framed(bytes(64))),
            "did not return a valid signature with this key",
        ),
    ],
    ids=["refuses", "nothing", "empty", "garbage", "another signature"],
)
def test_agent_that_lies_is_told(known, monkeypatch, answer, problem):
    line = agent_key()
    held = b"\x0c" + (1).to_bytes(4, "big") + framed(base64.b64decode(line.split()[1])) + framed(b"")

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            for said in (held, answer):
                connection.recv(1 << 16)
                connection.sendall(framed(said))

    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/agent")
        listener.listen()
        monkeypatch.setenv("SSH_AUTH_SOCK", f"{short}/agent")
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        made = known.with_signer("clinic", "c", "ssh-agent:", line)
        _, request = requested()
        with pytest.raises(ConfigError, match=problem):
            sign(request, made.signer(never))
        thread.join()


def agent_key() -> bytes:
    return ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)


def test_keys_that_could_not_be_verified_are_refused(known):
    odd = x25519.X25519PrivateKey.generate().public_key()
    public = odd.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    token = b"sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t"
    for given in (public, b"", b"not a key", b"ssh-ed25519 AAAA", token):
        with pytest.raises(ConfigError, match="the public key must be an ed25519, ecdsa or rsa key"):
            known.with_signer("clinic", "c", "hsm:", given)
    with pytest.raises(ConfigError, match="are not supported; use a key of another kind"):
        known.with_signer("clinic", "c", "gnupg:", public)
    with pytest.raises(ConfigError, match="the signer 'id_ed25519' is not one of .*file2:, .*hsm:, .*ssh-agent:"):
        known.with_signer("clinic", "c", "id_ed25519", public)
    assert known.all() == {}


# Names


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "a b", "ä", "x" * 65, "-x"])
def test_identity_is_called_what_a_folder_and_an_option_are_called(known, name):
    with pytest.raises(ConfigError, match="an identity's name can have letters"):
        known.new(name, "c", passphrase=None)


def test_identity_that_is_there_stays(known):
    made = known.new("clinic", "c", passphrase=None)
    with pytest.raises(ObjectExists, match="the identity 'clinic' exists already"):
        known.new("clinic", "c", passphrase=None)
    assert known.all() == {"clinic": made}
    assert os.listdir(known.folder) == ["clinic"]


def test_one_of_several_has_to_be_named(known):
    with pytest.raises(ConfigError, match=r"there is no identity in .*; make one: connectors identity new"):
        known.choose(None)
    known.new("clinic", "c", passphrase=None)
    known.new("lab", "l", passphrase=None)
    with pytest.raises(ConfigError, match="say as whom: --as NAME, one of clinic, lab"):
        known.choose(None)
    with pytest.raises(ConfigError, match="there is no identity 'eve'; there are clinic, lab"):
        known.choose("eve")
    assert known.choose("lab").party.name == "lab"


def test_half_an_identity_is_an_error_that_names_it(known):
    made = known.new("clinic", "c", passphrase=None)
    path = Path(made.folder, "party.json")
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InvalidDocument):
        known.all()
    path.unlink()
    with pytest.raises(InvalidDocument, match=r"clinic is not an identity: it has no party\.json"):
        known.all()


def test_folder_is_the_environments_or_the_homes(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CONNECTORS_IDENTITIES", raising=False)
    assert Identities().folder == str(tmp_path / ".config/connectors/identities")
    monkeypatch.setenv("CONNECTORS_IDENTITIES", str(tmp_path / "x"))
    assert Identities().folder == str(tmp_path / "x")


# Trust


def test_trusted_are_oneself_and_those_on_the_list(known):
    made = known.new("clinic", "c", passphrase=None)
    eve = person("Dr. Eve").party
    assert known.trusted() == {made.party.digest: "clinic"}
    assert known.trust(eve)
    assert not known.trust(eve)
    assert known.trusted() == {made.party.digest: "clinic", eve.digest: "Dr. Eve"}
    assert mode(os.path.join(known.folder, "trusted.json")) == 0o600
    assert known.distrust(eve.digest)
    assert not known.distrust(eve.digest)
    assert known.trusted() == {made.party.digest: "clinic"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"schema": "x", "parties": {}}', "{"])
def test_list_that_cannot_be_read_trusts_nobody(known, text):
    known.trust(person("Dr. Eve").party)
    Path(known.folder, "trusted.json").write_text(text)
    with pytest.raises(ConfigError, match=r"trusted\.json does not have the expected contents"):
        known.trusted()


# Credentials


DOCUMENT = {"query_string": "c2lnPTEyMw==", "encryption": {"key": "5EC2E7" + "0" * 58}}


def test_commitment_is_to_one_document_with_one_salt():
    salt = bytes(range(32))
    text = b'{"encryption":{"key":"5EC2E7' + b"0" * 58 + b'"},"query_string":"c2lnPTEyMw=="}'
    expected = sha256(b"enclave-connectors credentials commitment 1\x00" + salt + text).hexdigest()
    assert commit(DOCUMENT, salt) == commit(dict(reversed(DOCUMENT.items())), salt) == expected
    assert matches(OpenedCredentials(DOCUMENT, salt), expected)
    assert not matches(OpenedCredentials(DOCUMENT, bytes(32)), expected)
    assert not matches(OpenedCredentials({**DOCUMENT, "type": "https"}, salt), expected)


def test_credentials_stay_with_their_owner_and_each_commitment_is_another(known):
    made = known.new("clinic", "c", passphrase=None)
    first, second = made.keep_credentials(DOCUMENT), made.keep_credentials(DOCUMENT)
    assert first != second
    for commitment in (first, second):
        opened = made.credentials(commitment)
        assert opened.credentials == DOCUMENT
        assert matches(opened, commitment)
        path = os.path.join(made.folder, "credentials", f"{commitment}.json")
        assert mode(path) == 0o600
    assert mode(os.path.dirname(path)) == 0o700
    with pytest.raises(ConfigError, match="there is no "):
        made.credentials("00" * 32)
    members = json.loads(Path(path).read_bytes())
    members["credentials"]["query_string"] = "c2lnPTQ1Ng=="
    Path(path).write_bytes(canonical_bytes(members))
    with pytest.raises(ConfigError, match="holds other credentials") as caught:
        made.credentials(second)
    assert "5EC2E7" not in str(caught.value)


def test_decision_of_an_identity_counts_as_the_partys(known):
    made = known.new("clinic", "c", passphrase=PASSPHRASE)
    _, request = requested()
    envelope = decided(request, person("Clinic A"), signer=made.signer(lambda what: PASSPHRASE))
    with pytest.raises(NotApproved, match="the key [0-9a-f]{64} is not theirs"):
        envelope.verify(person("Clinic A").party)
    envelope.verify(made.party)
