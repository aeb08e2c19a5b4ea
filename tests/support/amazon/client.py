"""Amazon's S3 Encryption Client for Python, driven by lines of JSON: run by the Python of its own environment.

The first line names the store, the KMS and the KMS key. Each further line is an order, which is answered by a line:
``{}``, or ``{"error": TEXT}``. Objects are read from and written to local files.
"""

from __future__ import annotations

import json
import sys

import boto3
from botocore.config import Config
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy

ALGORITHMS = {
    "committing": (
        AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
        CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
    ),
    "uncommitted": (
        AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
        CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    ),
}


def clients(place):
    """Return the client for each of the algorithms; the client of the store adds no checksums of its own."""
    kms = boto3.client("kms", **place["kms"])
    made = {}
    for name, (algorithm, policy) in ALGORITHMS.items():
        config = Config(
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path"},
        )
        store = boto3.client("s3", config=config, **place["s3"])
        keyring = KmsKeyring(kms, place["key_id"])
        made[name] = S3EncryptionClient(
            store, S3EncryptionClientConfig(keyring, encryption_algorithm=algorithm, commitment_policy=policy)
        )
    return made


def obey(client, order):
    """Put or get one object."""
    context = {"EncryptionContext": order["context"]} if order["context"] else {}
    if order["do"] == "put":
        with open(order["file"], "rb") as file:
            client.put_object(Bucket=order["bucket"], Key=order["key"], Body=file.read(), **context)
    elif order["do"] == "upload":
        client.upload_file(order["file"], order["bucket"], order["key"], **context)
    else:
        found = client.get_object(Bucket=order["bucket"], Key=order["key"], **context)
        with open(order["file"], "wb") as file:
            file.write(found["Body"].read())


def main():
    """Obey until the orders end."""
    made = clients(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        order, answer = json.loads(line), {}
        try:
            obey(made[order["algorithm"]], order)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test judges it
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
