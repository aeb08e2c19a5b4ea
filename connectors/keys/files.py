"""Key files: 64 hexadecimal digits, or a Tink keyset, in a file that only its owner should be able to read."""

from __future__ import annotations

import codecs
import os
import stat
import warnings

from connectors.errors import ConfigError, InvalidKey
from connectors.keys.keysets import is_keyset, parse_keyset
from connectors.secrets import KEY_SIZE, Hidden, SecretKey

__all__ = ["MOST_BYTES", "WideKeyFile", "key_in", "read_below", "warn_if_wide"]

MOST_BYTES = 1 << 16
"""The largest key file."""


class WideKeyFile(UserWarning):
    """A file with a key or a passphrase can be read by others than its owner."""


def key_in(data: bytes | Hidden, shown: str) -> SecretKey:
    """Return the key in a file's content; white space anywhere among its digits is ignored.

    It may also be a plain keyset of Tink; the key is a `TinkKey` then.

    Args:
        data: the content.
        shown: what errors call the file.

    Raises:
        InvalidKey: it holds something else.
    """
    data = Hidden(data)
    if is_keyset(data):
        return _keyset_in(data, shown)
    try:
        # `xxd -p` breaks lines inside a key, and Windows editors begin the file with a byte-order mark.
        return SecretKey(Hidden("".join(data.reveal().decode("utf-8-sig").split())))
    except UnicodeDecodeError:
        problem = f"a key is 64 hexadecimal digits; {_no_text(data.reveal())}"
    except InvalidKey as error:
        problem = str(error)
    message = f"{shown}: {problem}"
    raise InvalidKey(message)


def _keyset_in(data: Hidden, shown: str) -> SecretKey:
    try:
        found = parse_keyset(data)
    except InvalidKey as error:
        problem = str(error)
    else:
        if isinstance(found, SecretKey):
            return found
        problem = (
            "this Tink keyset is encrypted, and needs a reference that names the key that encrypts it: "
            '{"source": "tink", "path": "PATH", "by": {"source": "file", …}}'
        )
    message = f"{shown}: {problem}"
    raise InvalidKey(message)


def _no_text(data: bytes) -> str:
    """Describe a key file that is not UTF-8 text."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "this is UTF-16 text; save it as UTF-8"
    if len(data) == KEY_SIZE:
        return "this is a raw key, which `xxd -p -c 64` converts"
    return "this is not text"


def warn_if_wide(descriptor: int, shown: str) -> None:
    """Warn if an open file with a secret can be read by others than its owner."""
    found = os.fstat(descriptor)
    mode = stat.S_IMODE(found.st_mode)
    if stat.S_ISREG(found.st_mode) and os.name == "posix" and mode & 0o077:
        message = f"{shown} can be read or changed by other users of this machine (mode {mode:04o}); chmod it to 0600"
        warnings.warn(message, WideKeyFile, stacklevel=2)


def read_below(root: str | None, path: str, what: str, *, private: bool = True) -> Hidden:
    """Return the content of a small file with a secret that a reference names.

    Args:
        root: the app config's root, which the path is below; without one, the path is absolute.
        path: the path.
        what: what errors call the file: "key file".
        private: whether to warn if others can read it; false for files whose permissions are somebody else's choice.

    Raises:
        ConfigError: there is no such file, it leads out of the root, or cannot be read.
        InvalidKey: it is empty.
    """
    shown = f"the {what} {path!r}"
    if root is None and not os.path.isabs(path):
        message = f"{shown} is below an app config's root; outside one, give its whole path"
        raise ConfigError(message)
    if root is not None and os.path.isabs(path):
        message = f"{shown} must be a path below the app config's root, without a slash in front"
        raise ConfigError(message)
    whole = path if root is None else os.path.join(root, path)
    if root is not None and not _is_inside(root, whole):
        message = f"{shown} leads out of the app config's root; put the file itself there"
        raise ConfigError(message)
    return _read(whole, shown, private=private)


def _is_inside(root: str, path: str) -> bool:
    """Return whether a path is below a root, after all links; also if no file can have that name."""
    try:
        root, path = os.path.realpath(root), os.path.realpath(path)
    except ValueError:
        return True
    return os.path.commonpath([root, path]) == root


def _read(path: str, shown: str, *, private: bool) -> Hidden:
    try:
        # A pipe without a writer must not block.
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                problem = "is not a regular file"
            else:
                if private:
                    warn_if_wide(file.fileno(), shown)
                data = Hidden(file.read(MOST_BYTES + 1))
                problem = _wrong_size(len(data.reveal()))
    except FileNotFoundError:
        problem = "is missing"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:  # a null character in the path
        problem = "is missing"
    if problem:
        message = f"{shown} {problem}"
        raise ConfigError(message)
    return data


def _wrong_size(size: int) -> str:
    if not size:
        return "is empty"
    return f"is larger than {MOST_BYTES} bytes; it must be another file" if size > MOST_BYTES else ""
