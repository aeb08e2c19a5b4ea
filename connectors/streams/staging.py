"""Staged local files: written out of sight, then published atomically under their name.

On Linux the file has no name while it is written, so it disappears if its process is killed or the power fails. It is
linked to its name when it is complete. A link cannot replace a file, so to replace one it first gets a hidden name and
is then renamed: a writer killed between these two steps leaves a complete hidden file. On other platforms the file has
the hidden name from the start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile

__all__ = ["StagedFile"]

_SUFFIX = ".part"


class StagedFile:
    """A file that is written in the folder of its final path.

    Args:
        path: the final path, absolute.

    Attributes:
        file: the file to write to.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder, name = os.path.split(path)
        # Only the start of a long name, so that the hidden name stays within the limit.
        self._prefix = f".{name[:40]}."
        self._hidden: str | None = None
        descriptor = _open_unnamed(self._folder)
        if descriptor is None:
            descriptor, self._hidden = tempfile.mkstemp(prefix=self._prefix, suffix=_SUFFIX, dir=self._folder)
        self.file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed by the methods below

    def create(self) -> None:
        """Publish the file under its name.

        Raises:
            FileExistsError: the name is taken.
        """
        self._link(self._path)
        self.drop()
        _sync_folder(self._folder)

    def replace(self) -> None:
        """Publish the file under its name, atomically replacing any file there."""
        if self._hidden is None:
            hidden = os.path.join(self._folder, f"{self._prefix}{secrets.token_hex(8)}{_SUFFIX}")
            self._link(hidden)
            self._hidden = hidden
        self.file.close()
        os.replace(self._hidden, self._path)
        self._hidden = None
        _sync_folder(self._folder)

    def _link(self, path: str) -> None:
        if self._hidden is not None:
            os.link(self._hidden, path)
            return
        # Through its descriptor, as it has no name. Passing `src_dir_fd` makes Python follow the symbolic link in
        # /proc; its value does not matter, as both paths are absolute.
        number = self.file.fileno()
        os.link(f"/proc/self/fd/{number}", path, src_dir_fd=number, follow_symlinks=True)

    def drop(self) -> None:
        """Close the file and remove its hidden name."""
        self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._hidden)
            self._hidden = None


def _open_unnamed(folder: str) -> int | None:
    """Open an unnamed file in a folder; return None if that is not possible."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return None  # opening a named file reports any reason that matters
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        return descriptor
    os.close(descriptor)  # without /proc it could never be linked to a name
    return None


def _sync_folder(folder: str) -> None:
    """Sync a folder, so that a new name survives a power failure, if the platform supports it."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
