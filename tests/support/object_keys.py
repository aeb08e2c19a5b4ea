"""Datasets whose objects have keys of their own, and the objects as the store has them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import connectors

if TYPE_CHECKING:
    from kms_server import KmsAccount
    from servers import S3Server

__all__ = ["CONTEXT", "Objects"]

CONTEXT = {"dataset": "conditions"}


@dataclass
class Objects:
    """The objects of a store, under a KMS key.

    Attributes:
        store: the store.
        account: its keys.
        key_id: the ARN of the KMS key.
    """

    store: S3Server
    account: KmsAccount
    key_id: str

    def document(self, *, bound: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
        """Return a credentials document; `bound` is the key's context, and `changes` are of its encryption.

        Only `part_size` is not: it is a member of the document.
        """
        members = {
            "type": "s3",
            "access_key_id": self.store.access_key,
            "secret_access_key": self.store.secret_key,
            "region": self.store.region,
            "endpoint_url": self.store.endpoint,
        }
        if "part_size" in changes:
            members["part_size"] = changes.pop("part_size")
        key: dict[str, Any] = {
            "source": "aws-kms",
            "access_key_id": self.account.access_key,
            "secret_access_key": self.account.secret_key,
            "key_id": self.key_id,
            "endpoint": self.account.endpoint,
        }
        bound = CONTEXT if bound is None else bound
        key |= {"context": bound} if bound else {}
        return {**members, "encryption": {"format": "s3-encryption-client", "key": key, **changes}}

    def dataset(self, path: str, **changes: Any) -> connectors.Dataset:
        """Return a dataset, with the changes of `document`."""
        return connectors.Dataset(f"s3://{path}", self.document(**changes))

    def stored(self, path: str) -> bytes:
        """Return an object's stored bytes."""
        bucket, _, key = path.partition("/")
        data: bytes = self.store.client().get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def metadata(self, path: str) -> dict[str, str]:
        """Return an object's user metadata."""
        bucket, _, key = path.partition("/")
        found: dict[str, str] = self.store.client().head_object(Bucket=bucket, Key=key)["Metadata"]
        return found

    def put(self, path: str, data: bytes, metadata: dict[str, str] | None = None) -> None:
        """Store an object as it is."""
        bucket, _, key = path.partition("/")
        self.store.client().put_object(Bucket=bucket, Key=key, Body=data, Metadata=metadata or {})

    def replace(self, path: str, data: bytes | None = None, metadata: dict[str, str] | None = None) -> None:
        """Change an object's bytes or its metadata, and keep the other."""
        data = self.stored(path) if data is None else data
        self.put(path, data, self.metadata(path) if metadata is None else metadata)

    @staticmethod
    def flipped(text: str) -> str:
        """Return base64 text with a bit of its last byte changed."""
        data = bytearray(base64.b64decode(text))
        data[-1] ^= 1
        return base64.b64encode(data).decode()
