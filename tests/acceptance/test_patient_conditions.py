"""The main job on real data: Synthea's conditions, a real object store, real presigned URLs, the command as typed.

The data owner seals the table and puts it in SeaweedFS behind a presigned URL; an application that knows nothing but
files runs on it; the result's owner opens the sealed result. Once in the default format, once in the one-shot format.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from patience import PATIENCE
from patients import ANSWER, get, put, table

import connectors

DESCRIBE = Path(__file__).parents[2] / "examples" / "patient-conditions" / "describe.py"


def command(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = os.path.join(os.path.dirname(sys.executable), "connectors")
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, timeout=PATIENCE, check=False)


def succeed(*arguments: str, cwd: Path) -> str:
    done = command(*arguments, cwd=cwd)
    assert done.returncode == 0, (arguments, done.stderr)
    return done.stdout


def credentials(url: str, key_file: Path, path: Path) -> str:
    """Write the credentials document as a person puts it together by hand; return the location."""
    location, _, query = url.partition("?")
    document = {
        "query_string": base64.b64encode(query.encode()).decode() + "\n",
        "encryption": {"key": key_file.read_text()},
    }
    path.write_text(json.dumps(document))
    return location


@pytest.mark.parametrize("sealed_as", ["gcm", "cobblestone-256"])
def test_sealed_patient_data_becomes_a_sealed_result(s3, shared_data, tmp_path, sealed_as):
    csv = shared_data / "synthea" / "conditions.csv"

    # The data owner.
    succeed("keygen", "key.hex", cwd=tmp_path)
    succeed("encrypt", "-K", "key.hex", "-in", str(csv), "-out", "c.enc", "--format", sealed_as, cwd=tmp_path)
    name = f"acceptance/{sealed_as}/conditions csv.enc"
    put(s3.presign("PUT", "clinic", name), (tmp_path / "c.enc").read_bytes())
    source = credentials(s3.presign("GET", "clinic", name), tmp_path / "key.hex", tmp_path / "in.json")
    assert source.endswith(quote(name))

    # The result's owner.
    succeed("keygen", "key_out.hex", cwd=tmp_path)
    result = f"acceptance/{sealed_as}/result.enc"
    target = credentials(s3.presign("PUT", "clinic", result), tmp_path / "key_out.hex", tmp_path / "out.json")

    # The platform, and the application.
    for port, object_name, location, document in (
        ("input", "conditions", source, "in.json"),
        ("output", "result", target, "out.json"),
    ):
        arguments = ("dataset", "new", "rw", port, object_name, "--location", location, "--credentials", document)
        succeed(*arguments, cwd=tmp_path)
    printed = succeed("run", "--app-config", "rw", "--", sys.executable, str(DESCRIBE), cwd=tmp_path)
    assert table(printed) == ANSWER

    # The result's owner again.
    sealed = get(s3.presign("GET", "clinic", result))
    assert b"sinusitis" not in sealed
    (tmp_path / "result.enc").write_bytes(sealed)
    succeed("decrypt", "-K", "key_out.hex", "-in", "result.enc", "-out", "result.json", cwd=tmp_path)
    outcome = json.loads((tmp_path / "result.json").read_text())
    assert list(outcome) == ["returncode", "stdout", "stderr"]
    assert outcome["returncode"] == 0
    assert table(base64.b64decode(outcome["stdout"]).decode()) == ANSWER
    assert base64.b64decode(outcome["stdout"]).decode() == printed
    assert table(succeed("result", "result.json", cwd=tmp_path)) == ANSWER


def test_application_that_imports_the_sdk_reads_and_writes_the_same(s3, shared_data, tmp_path, monkeypatch):
    key = connectors.SecretKey.generate()
    connectors.encrypt(shared_data / "synthea" / "conditions.csv", tmp_path / "c.enc", key, format="gcm")
    put(s3.presign("PUT", "clinic", "sdk/in"), (tmp_path / "c.enc").read_bytes())
    for port, name, method, path in (("input", "conditions", "GET", "sdk/in"), ("output", "summary", "PUT", "sdk/out")):
        folder = tmp_path / "rw" / port / name / "dataset"
        folder.mkdir(parents=True)
        (tmp_path / "key").write_text(key.reveal().hex())
        url = s3.presign(method, "clinic", path)
        (folder / "location.txt").write_text(credentials(url, tmp_path / "key", folder / "credentials.bin"))
    monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(tmp_path / "rw"))

    frame = pd.read_csv("dataset://input/conditions")
    assert len(frame) == 8376
    frame["DESCRIPTION"].describe().to_csv("dataset://output/summary")

    sealed = get(s3.presign("GET", "clinic", "sdk/out"))
    (tmp_path / "out.enc").write_bytes(sealed)
    with connectors.open_reader(tmp_path / "out.enc", key) as file:
        lines = dict(line.decode().strip().split(",", 1) for line in file.readlines()[1:])
    assert lines == ANSWER


def test_tampered_input_stops_the_application_before_it_runs(s3, shared_data, tmp_path):
    succeed("keygen", "key.hex", cwd=tmp_path)
    csv = shared_data / "synthea" / "conditions.csv"
    for port, name, method in (("input", "conditions", "GET"), ("output", "result", "PUT")):
        url = s3.presign(method, "clinic", f"tampered/{name}")
        location = credentials(url, tmp_path / "key.hex", tmp_path / "c.json")
        succeed("dataset", "new", "rw", port, name, "--location", location, "--credentials", "c.json", cwd=tmp_path)
    connectors.encrypt(csv, tmp_path / "c.enc", (tmp_path / "key.hex").read_text())
    sealed = bytearray((tmp_path / "c.enc").read_bytes())
    sealed[len(sealed) // 2] ^= 1
    put(s3.presign("PUT", "clinic", "tampered/conditions"), bytes(sealed))

    mark = tmp_path / "it-ran"
    done = command("run", "--app-config", "rw", "--", "touch", str(mark), cwd=tmp_path)
    assert done.returncode == 3
    assert "input/conditions: chunk" in done.stderr
    assert not mark.exists()
    assert s3.client().list_objects_v2(Bucket="clinic", Prefix="tampered/result")["KeyCount"] == 0


# The reference scripts' own functions, from the format's description: nonce(12) || ciphertext || tag(16).


def script_encrypts(key: bytes, data: bytes) -> bytes:
    nonce = os.urandom(12)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    return nonce + encryptor.update(data) + encryptor.finalize() + encryptor.tag


def script_decrypts(key: bytes, sealed: bytes) -> bytes:
    decryptor = Cipher(algorithms.AES(key), modes.GCM(sealed[:12], sealed[-16:])).decryptor()
    return decryptor.update(sealed[12:-16]) + decryptor.finalize()


def test_one_shot_scripts_and_the_command_open_each_others_files(tmp_path, shared_data):
    data = (shared_data / "synthea" / "conditions.csv").read_bytes()
    succeed("keygen", "key.hex", cwd=tmp_path)
    key = bytes.fromhex((tmp_path / "key.hex").read_text())
    (tmp_path / "plain").write_bytes(data)
    succeed("encrypt", "--format", "gcm", "-K", "key.hex", "-in", "plain", "-out", "ours", cwd=tmp_path)
    assert script_decrypts(key, (tmp_path / "ours").read_bytes()) == data
    (tmp_path / "theirs").write_bytes(script_encrypts(key, data))
    succeed("decrypt", "-K", "key.hex", "-in", "theirs", "-out", "opened", cwd=tmp_path)
    assert (tmp_path / "opened").read_bytes() == data
