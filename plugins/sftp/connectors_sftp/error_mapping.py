"""What SFTP servers and asyncssh raise, as the errors of `connectors`: the one place where they are translated.

Only the kind of an error is looked at: its text is the server's.
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

__all__ = ["FOREIGN", "REFUSED", "Action", "storage_error"]

Action = Literal["read", "write", "list", "remove"]

FOREIGN = (asyncssh.Error, OSError, PacketDecodeError)
"""What the library raises when a request fails; timeouts are among them as OSError."""

REFUSED = (asyncssh.SFTPFailure, asyncssh.SFTPFileAlreadyExists, asyncssh.SFTPPermissionDenied)
"""What servers say when something stands where a thing is to be made: version 3 of the protocol, which all of them
speak, has no code of its own for it (draft-ietf-secsh-filexfer-02, section 7)."""

# The first that fits is meant. What is a StorageUnavailable here is tried again where that can do no harm.
_MEANINGS: tuple[tuple[tuple[type[BaseException], ...], type[ConnectorError], str], ...] = (
    ((asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath), ObjectNotFound, "nothing is stored at {where}"),
    ((asyncssh.SFTPFileAlreadyExists,), ObjectExists, "{where} exists already"),
    (
        (asyncssh.SFTPNotADirectory, asyncssh.SFTPFileIsADirectory),
        NotAnObject,
        "{where} is a folder, or lies below a file; name a single object",
    ),
    (
        (asyncssh.SFTPPermissionDenied, asyncssh.SFTPWriteProtect, asyncssh.SFTPCannotDelete),
        AccessDenied,
        "the server does not let this user {action} {where}",
    ),
    (
        (asyncssh.SFTPNoSpaceOnFilesystem, asyncssh.SFTPQuotaExceeded),
        StorageError,
        "there is no space left for {where}; have some made",
    ),
    ((asyncssh.SFTPDirNotEmpty,), StorageError, "{where} is not empty; remove what is in it first"),
    ((asyncssh.SFTPInvalidFilename,), StorageError, "the server takes no such name: {where}"),
    ((asyncssh.SFTPOpUnsupported,), NotSupported, "the server cannot do that at {where}"),
    (
        (asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage),
        StorageUnavailable,
        "the connection to the server broke ({name}), at {where}; try again later",
    ),
    (
        (asyncssh.SFTPError,),
        StorageError,
        "the server failed to {action} {where}, and does not say why; its disk may be full, for one",
    ),
    (
        (asyncssh.PermissionDenied,),
        AccessDenied,
        "the server does not accept this user with this password or key, for {where}",
    ),
    (
        (asyncssh.KeyExchangeFailed, asyncssh.ProtocolNotSupported),
        StorageError,
        "the server of {where} and this side have no algorithm in common; have the server brought up to date",
    ),
    (
        (asyncssh.ChannelOpenError,),
        StorageUnavailable,
        "the server of {where} opens no SFTP session for this user; see that the sftp subsystem is enabled",
    ),
    ((PacketDecodeError,), StorageUnavailable, "the server's answer makes no sense, at {where}"),
)


def storage_error(error: BaseException, where: str, action: Action) -> ConnectorError:
    """Return the error of ours that says what `error` means.

    Args:
        error: one of `FOREIGN`.
        where: the location, as messages show it.
        action: what was being done.
    """
    name = type(error).__name__
    for kinds, kind, message in _MEANINGS:
        if isinstance(error, kinds):
            return kind(message.format(where=where, action=action, name=name))
    return StorageUnavailable(f"the server cannot be reached for {where} ({name}); try again later")
