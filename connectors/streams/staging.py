"""A local file that nobody sees before it is whole, and of which a writer that is killed leaves nothing.

On Linux it has no name while it is written, so that it is gone with its process, also one that is killed or loses its
power. It is linked to its name when it is whole. A link replaces nothing, so to take the place of another file it gets
a hidden name first: between these two steps, and only there, a killed writer leaves a hidden file, which is whole.
Elsewhere it has the hidden name from the start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile

__all__ = ["StagedFile"]

_SUFFIX = ".part"


class StagedFile:
    """A file beside the place where it is to appear.

    Args:
        path: that place, absolute.

    Attributes:
        file: where to write it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._folder, name = os.path.split(path)
        # Of a long name only the start: with its additions it must not exceed what a name may have.
        self._prefix = f".{name[:40]}."
        self._hidden: str | None = None
        descriptor = _open_unnamed(self._folder)
        if descriptor is None:
            descriptor, self._hidden = tempfile.mkstemp(prefix=self._prefix, suffix=_SUFFIX, dir=self._folder)
        self.file = open(descriptor, "wb", buffering=0)  # noqa: SIM115 - closed by those below

    def create(self) -> None:
        """Give it its name.

        Raises:
            FileExistsError: something has it.
        """
        self._link(self._path)
        self.drop()
        _sync_folder(self._folder)

    def replace(self) -> None:
        """Give it its name, in the place of the file that has it."""
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
        # By its number, as it has no name. To be given a descriptor makes Python follow the link that this path is;
        # which one is all the same, as both paths are absolute.
        number = self.file.fileno()
        os.link(f"/proc/self/fd/{number}", path, src_dir_fd=number, follow_symlinks=True)

    def drop(self) -> None:
        """Close it, and remove the hidden name."""
        self.file.close()
        if self._hidden is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._hidden)
            self._hidden = None


def _open_unnamed(folder: str) -> int | None:
    """Open a file without a name in a folder; return None where there can be none, for whatever reason."""
    if not hasattr(os, "O_TMPFILE"):
        return None
    try:
        descriptor = os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    except OSError:
        return None  # a reason that matters keeps a named one from being opened, too
    if os.path.exists(f"/proc/self/fd/{descriptor}"):
        return descriptor
    os.close(descriptor)  # without /proc it could never be given a name
    return None


def _sync_folder(folder: str) -> None:
    """Make a new name survive a power cut, where the platform lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
