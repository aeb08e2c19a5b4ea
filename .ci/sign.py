"""Write SHA256SUMS of what is published, and its signature SHA256SUMS.sig: `make release`.

    python .ci/sign.py dist release.pem

The signature is that of the key's own algorithm over the bytes of SHA256SUMS. With an Ed25519 key it is 64 bytes, which
OpenSSL verifies without any other program: see docs/verifying.md.
"""

from __future__ import annotations

import getpass
import hashlib
import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner

PUBLISHED = ("*.whl", "requirements.txt", "sbom.cdx.json")


def load_signer(path: Path) -> CryptoSigner:
    """Return the signer with the private key of a PEM file, asking for its password if it has one."""
    data = path.read_bytes()
    try:
        return CryptoSigner(load_pem_private_key(data, None))
    except TypeError:  # it is encrypted
        return CryptoSigner(load_pem_private_key(data, getpass.getpass(f"Password of {path}: ").encode()))


def sign(folder: Path, signer: CryptoSigner) -> None:
    """Write both files into the folder of a release."""
    lines = []
    for pattern in PUBLISHED:
        paths = sorted(folder.glob(pattern))
        if not paths:
            sys.exit(f"{folder} has no {pattern}: run make release")
        lines += [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths]
    sums = "".join(lines).encode()
    (folder / "SHA256SUMS").write_bytes(sums)
    (folder / "SHA256SUMS.sig").write_bytes(bytes.fromhex(signer.sign(sums).signature))


if __name__ == "__main__":
    sign(Path(sys.argv[1]), load_signer(Path(sys.argv[2])))
