"""What the error codes of Azure Blob Storage mean."""

from __future__ import annotations

from connectors.errors import AccessDenied, NotAnObject, ObjectNotFound, StorageError, StorageUnavailable
from connectors.storage import Meaning

__all__ = ["MEANINGS"]


def _meaning(kind: type[StorageError], message: str, codes: str) -> Meaning:
    return Meaning(frozenset(codes.split()), kind, f"{message} ({{code}})")


# "Status and error codes" and "Blob Storage error codes" of the REST API. All other codes mean what their status says.
MEANINGS = (
    _meaning(
        ObjectNotFound,
        "there is no such container: {where}",
        "ContainerNotFound ContainerBeingDeleted ContainerDisabled",
    ),
    _meaning(
        AccessDenied,
        "Azure does not let these credentials {action} {where}",
        "InvalidAuthenticationInfo PublicAccessNotPermitted",
    ),
    _meaning(
        AccessDenied,
        "these credentials may create {where}, but not replace an existing blob",
        "UnauthorizedBlobOverwrite",
    ),
    _meaning(
        AccessDenied,
        "{where} is protected by an immutability policy or a legal hold",
        "BlobImmutableDueToPolicy BlobImmutableDueToLegalHold BlobOverwriteNotPermitted",
    ),
    _meaning(
        StorageError,
        "{where} is served only over https://; correct endpoint_url in the credentials",
        "AccountRequiresHttps",
    ),
    _meaning(
        StorageError,
        "{where} is leased by another client; release or break the lease first",
        "LeaseAlreadyPresent LeaseIdMismatchWithBlobOperation LeaseIdMissing LeaseLost "
        "LeaseNotPresentWithBlobOperation",
    ),
    _meaning(StorageError, "{where} is archived; rehydrate it first", "BlobArchived BlobBeingRehydrated"),
    _meaning(
        StorageError, "{where} is an append blob or a page blob, not a block blob; remove it first", "InvalidBlobType"
    ),
    _meaning(
        StorageError,
        "the blocks of {where} are gone, because another client wrote it meanwhile; write it again",
        "InvalidBlockList",
    ),
    _meaning(
        StorageError,
        "another tool's unfinished upload of {where} prevents this one; finish it, or use another name",
        "InvalidBlobOrBlock InvalidBlockId BlockCountExceedsLimit",
    ),
    _meaning(StorageError, "{where} has snapshots; remove them first", "SnapshotsPresent"),
    _meaning(NotAnObject, "{where} is a folder that is not empty", "DirectoryIsNotEmpty"),
    Meaning(
        frozenset({"AccountBeingCreated", "Md5Mismatch", "PendingCopyOperation"}),
        StorageUnavailable,
        "Azure cannot {action} {where} now ({code}); try again later",
        transient=True,
    ),
)
