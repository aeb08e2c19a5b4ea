"""A release is verified as docs/verifying.md says, and what was changed in it is told."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "verifying.md").read_text()
(SHELL,) = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(PROGRAM,) = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WHEEL = "enclave_connectors-1.0-py3-none-any.whl"
WAYS = {"openssl": ["bash", "-c", SHELL], "python": [sys.executable, "-c", PROGRAM]}


def sign(folder: Path, key: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / ".ci" / "sign.py", folder, key]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """The folder of a signed release; the private key lies beside it."""
    root, private = tmp_path_factory.mktemp("signed"), Ed25519PrivateKey.generate()
    folder = root / "release"
    folder.mkdir()
    for name in (WHEEL, "enclave_connectors_s3-1.0-py3-none-any.whl", "requirements.txt", "sbom.cdx.json"):
        (folder / name).write_text(f"the content of {name}")
    key = root / "release.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    done = sign(folder, key)
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "release.pub").write_bytes(
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    return folder


@pytest.fixture
def release(signed, tmp_path):
    shutil.copytree(signed.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / signed.name


@pytest.fixture(params=WAYS)
def verify(request, release):
    if request.param == "openssl" and not (shutil.which("openssl") and shutil.which("sha256sum")):
        pytest.skip("needs openssl and sha256sum")

    def run():
        return subprocess.run(WAYS[request.param], cwd=release, capture_output=True, text=True, check=False)

    return run


def test_a_release_is_verified(verify, release):
    done = verify()
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^(\S+?):? OK$", done.stdout, re.MULTILINE)) == {
        *(path.name for path in release.glob("*.whl")),
        "requirements.txt",
        "sbom.cdx.json",
    }


def test_some_of_the_files_are_enough(verify, release):
    (release / "sbom.cdx.json").unlink()
    assert verify().returncode == 0


def change_wheel(release):
    with (release / WHEEL).open("ab") as file:
        file.write(b"more")


def change_sums(release):
    text = (release / "SHA256SUMS").read_text()
    (release / "SHA256SUMS").write_text(text.replace(text[:64], "0" * 64))


def change_both(release):
    """As somebody does who has no private key, or one of their own."""
    change_wheel(release)
    other = release.parent / "other.pem"
    other.write_bytes(Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert sign(release, other).returncode == 0


def empty_signature(release):
    (release / "SHA256SUMS.sig").write_bytes(b"")


@pytest.mark.parametrize("change", [change_wheel, change_sums, change_both, empty_signature])
def test_what_was_changed_is_told(verify, release, change):
    change(release)
    assert verify().returncode != 0


@pytest.mark.parametrize("missing", ["*.whl", "requirements.txt", "sbom.cdx.json"])
def test_an_incomplete_release_is_not_signed(release, tmp_path, missing):
    for path in [*release.glob(missing), *release.glob("SHA256SUMS*")]:
        path.unlink()
    done = sign(release, tmp_path / "release.pem")
    assert (done.returncode, done.stderr) == (1, f"{release} has no {missing}: run make release\n")
    assert not list(release.glob("SHA256SUMS*"))


def test_a_key_may_have_a_password(release, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    monkeypatch.setattr("getpass.getpass", lambda _: "correct horse")
    import sign as signing  # noqa: PLC0415

    private = Ed25519PrivateKey.generate()
    key = tmp_path / "encrypted.pem"
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"correct horse")))
    signing.sign(release, signing.load_signer(key))
    private.public_key().verify((release / "SHA256SUMS.sig").read_bytes(), (release / "SHA256SUMS").read_bytes())


@pytest.mark.parametrize(
    ("name", "fewest"), [("constraints.txt", 150), ("constraints-proxy.txt", 30), ("constraints-s3-client.txt", 8)]
)
def test_the_locked_versions_have_hashes_and_name_no_server(name, fewest):
    text = (ROOT / name).read_text()
    locked = re.findall(r"^([\w.-]+==\S+)(.*\n(?:    --hash=sha256:[0-9a-f]{64}.*\n)*)", text, re.MULTILINE)
    assert len(locked) > fewest
    assert [version for version, rest in locked if "--hash=" not in rest] == []
    assert "://" not in text


def test_make_installs_only_by_the_locked_versions():
    """Also uv itself, by pip, which takes hashes from requirements and not from constraints."""
    text = (ROOT / "constraints.txt").read_text()
    block = re.search(r"^uv==\S+ \\\n(?:    --hash=sha256:\w+ \\\n)*    --hash=sha256:\w+$", text, re.MULTILINE)
    command = ["sed", "-n", r"/^uv==/,/[^\\]$/p", ROOT / "constraints.txt"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == f"{block[0]}\n"
    make = (ROOT / "Makefile").read_text()
    assert r"sed -n '/^uv==/,/[^\\]$$/p' constraints.txt" in make
