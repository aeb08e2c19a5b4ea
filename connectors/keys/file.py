"""The key source ``file``: a mounted secret below the app config's root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from connectors.keys.contract import KeyReference, KeySource
from connectors.keys.files import key_in, read_below

if TYPE_CHECKING:
    from connectors.secrets import SecretKey

__all__ = ["FileKey"]


class FileReference(KeyReference):
    """A key in a file."""

    source: Literal["file"] = "file"
    path: str = Field(
        min_length=1,
        description=(
            "The key file, of 64 hexadecimal digits or a Tink keyset: a path below the app config's root, or an "
            "absolute path if the document is not in an app config."
        ),
    )


class FileKey(KeySource):
    """A key in a file: ``{"source": "file", "path": "keys/clinic.hex"}``."""

    name = "file"
    summary = "a key file"
    Reference = FileReference

    def unwrap(self, reference: FileReference, root: str | None) -> SecretKey:
        """Return the key in the file; raises as the contract says, and ConfigError if it cannot be read."""
        return key_in(read_below(root, reference.path, "key file"), f"the key file {reference.path!r}")

    def holder(self, reference: FileReference) -> str:
        """Return the file's name."""
        return f"the key file {reference.path}"
