"""Amazon's own S3 Encryption Client, in a process and a virtual environment of its own; the code under test is not used.

``make test`` installs it into .servers/s3-encryption-client, because it needs another version of `cryptography` than this
package.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kms_server import REGION
from servers import ROOT, ServerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kms_server import KmsAccount
    from servers import S3Server

__all__ = ["AmazonClient", "ClientError", "amazon_client"]

PYTHON = ROOT / ".servers" / "s3-encryption-client" / "bin" / "python"
PROGRAM = Path(__file__).parent / "amazon" / "client.py"
Algorithm = Literal["committing", "uncommitted"]


class ClientError(RuntimeError):
    """The client refused; the message is its own."""


@dataclass
class AmazonClient:
    """A running client.

    Attributes:
        process: its process.
        folder: where files are exchanged with it.
    """

    process: subprocess.Popen[str]
    folder: Path

    def put(
        self,
        path: str,
        data: bytes,
        context: dict[str, str],
        algorithm: Algorithm = "committing",
        *,
        parts: bool = False,
    ) -> None:
        """Encrypt an object and store it, in one request or in parts."""
        file = self.folder / "put"
        file.write_bytes(data)
        self.order("upload" if parts else "put", path, file, context, algorithm)

    def get(self, path: str, context: dict[str, str], algorithm: Algorithm = "committing") -> bytes:
        """Return an object, decrypted.

        Raises:
            ClientError: the client refuses it.
        """
        file = self.folder / "got"
        self.order("get", path, file, context, algorithm)
        return file.read_bytes()

    def order(self, do: str, path: str, file: Path, context: dict[str, str], algorithm: Algorithm) -> None:
        """Have the client put or get an object, from or to a file."""
        bucket, _, key = path.partition("/")
        order = {"do": do, "bucket": bucket, "key": key, "file": str(file), "context": context, "algorithm": algorithm}
        answer = self._say(order)
        if "error" in answer:
            raise ClientError(answer["error"])

    def _say(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "the client ended"}')
        return answer


@contextmanager
def amazon_client(folder: Path, store: S3Server, kms: KmsAccount, key_id: str) -> Iterator[AmazonClient]:
    """Run the client.

    Raises:
        ServerUnavailable: it is not installed.
    """
    if not PYTHON.exists():
        message = "Amazon's S3 Encryption Client is not installed; `make test` installs it"
        raise ServerUnavailable(message)
    place = {
        "s3": _place(store.endpoint, store.access_key, store.secret_key, store.region),
        "kms": _place(kms.endpoint, kms.access_key, kms.secret_key, REGION),
        "key_id": key_id,
    }
    command = [str(PYTHON), "-I", str(PROGRAM)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdin is not None
        process.stdin.write(f"{json.dumps(place)}\n")
        yield AmazonClient(process, folder)
        process.stdin.close()


def _place(endpoint: str, access_key: str, secret_key: str, region: str) -> dict[str, str]:
    return {
        "endpoint_url": endpoint,
        "aws_access_key_id": access_key,
        "aws_secret_access_key": secret_key,
        "region_name": region,
    }
