"""Translates the errors of asyncssh and SFTP servers into the errors of `connectors`.

Only an error's type is used, because its text is under the server's control.
"""

from __future__ import annotations

from typing import Literal

import asyncssh
from asyncssh.packet import PacketDecodeError

from connectors.errors import (
    AccessDenied,
    ConnectorError,
    NotAnObject,
    NotSupported,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)

__all__ = ["ABSENT", "FOREIGN", "REFUSED", "Action", "storage_error"]

Action = Literal["read", "write", "list", "remove"]

FOREIGN = (asyncssh.Error, OSError, PacketDecodeError)
"""The library's errors for a failed request; timeouts are among them as OSError."""

ABSENT = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath)
"""The errors for a path at which nothing is stored."""

REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPPermissionDenied)
"""The errors for creating something that exists already: version 3 of the protocol, which all servers use, has no
code of its own for this (draft-ietf-secsh-filexfer-02, section 7)."""

_MISPLACED = (asyncssh.SFTPNotADirectory, asyncssh.SFTPFileIsADirectory)
_DENIED = (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete)
_FULL = (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded)
_BROKEN = (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage)
_INCOMPATIBLE = (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported)
_SUBSYSTEM = "the server of {where} opens no SFTP session for this user; check that its sftp subsystem is enabled"
_UPDATE = "the server of {where} has no algorithm in common with this client; the server must be updated"

# The first match counts. A request that fails with StorageUnavailable is retried if that is safe.
_MEANINGS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], type[ConnectorError], str], ...] = (
    (ABSENT, ObjectNotFound, "nothing is stored at {where}"),
    (asyncssh.SFTPFileAlreadyExists, ObjectExists, "{where} already exists"),
    (_MISPLACED, NotAnObject, "{where} is a folder, or lies below a file; name a single object"),
    (_DENIED, AccessDenied, "the server does not let this user {action} {where}"),
    (_FULL, StorageError, "the server has no space left for {where}; ask for more"),
    (asyncssh.SFTPDirNotEmpty, StorageError, "{where} is not empty; remove what is in it first"),
    (asyncssh.SFTPInvalidFilename, StorageError, "the server does not allow this name: {where}"),
    (asyncssh.SFTPOpUnsupported, NotSupported, "the server cannot do that at {where}"),
    (_BROKEN, StorageUnavailable, "the connection to the server broke at {where} ({name}); try again later"),
    (asyncssh.SFTPError, StorageError, "the server failed to {action} {where} without a reason; its disk may be full"),
    (
        asyncssh.PermissionDenied,
        AccessDenied,
        "the server does not accept this user with this password or key for {where}",
    ),
    (_INCOMPATIBLE, StorageError, _UPDATE),
    (asyncssh.ChannelOpenError, StorageUnavailable, _SUBSYSTEM),
    (PacketDecodeError, StorageUnavailable, "the server sent an invalid response about {where}"),
    (Exception, StorageUnavailable, "the server cannot be reached for {where} ({name}); try again later"),
)


def storage_error(error: Exception, where: str, action: Action) -> ConnectorError:
    """Return the error of `connectors` for a library's error.

    Args:
        error: one of `FOREIGN`.
        where: the location for messages.
        action: what was being done.
    """
    kind, message = next((kind, message) for kinds, kind, message in _MEANINGS if isinstance(error, kinds))
    return kind(message.format(where=where, action=action, name=type(error).__name__))
