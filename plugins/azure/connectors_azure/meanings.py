"""What the error codes of Azure Blob Storage mean."""

from __future__ import annotations

from connectors.errors import AccessDenied, NotAnObject, ObjectNotFound, StorageError, StorageUnavailable
from connectors.storage import meaning

__all__ = ["MEANINGS"]

# "Status and error codes" and "Blob Storage error codes" of the REST API. All other codes mean what their status says.
MEANINGS = (
    meaning(
        "ContainerNotFound ContainerBeingDeleted ContainerDisabled",
        ObjectNotFound,
        "there is no such container: {where} ({code})",
    ),
    meaning(
        "InvalidAuthenticationInfo PublicAccessNotPermitted",
        AccessDenied,
        "Azure does not let these credentials {action} {where} ({code})",
    ),
    meaning(
        "UnauthorizedBlobOverwrite",
        AccessDenied,
        "these credentials may create {where}, but not replace an existing blob ({code})",
    ),
    meaning(
        "BlobImmutableDueToPolicy BlobImmutableDueToLegalHold BlobOverwriteNotPermitted",
        AccessDenied,
        "{where} is protected by an immutability policy or a legal hold ({code})",
    ),
    meaning(
        "AccountRequiresHttps",
        StorageError,
        "{where} is served only over https://; correct endpoint_url in the credentials ({code})",
    ),
    meaning(
        "LeaseAlreadyPresent LeaseIdMismatchWithBlobOperation LeaseIdMissing LeaseLost "
        "LeaseNotPresentWithBlobOperation",
        StorageError,
        "{where} is leased by another client; release or break the lease first ({code})",
    ),
    meaning("BlobArchived BlobBeingRehydrated", StorageError, "{where} is archived; rehydrate it first ({code})"),
    meaning(
        "InvalidBlobType",
        StorageError,
        "{where} is an append blob or a page blob, not a block blob; remove it first ({code})",
    ),
    meaning(
        "InvalidBlockList",
        StorageError,
        "the blocks of {where} are gone, because another client wrote it meanwhile; write it again ({code})",
    ),
    meaning(
        "InvalidBlobOrBlock InvalidBlockId BlockCountExceedsLimit",
        StorageError,
        "another tool's unfinished upload of {where} prevents this one; finish it, or use another name ({code})",
    ),
    meaning("SnapshotsPresent", StorageError, "{where} has snapshots; remove them first ({code})"),
    meaning("DirectoryIsNotEmpty", NotAnObject, "{where} is a folder that is not empty ({code})"),
    meaning(
        "AccountBeingCreated Md5Mismatch PendingCopyOperation",
        StorageUnavailable,
        "Azure cannot {action} {where} now ({code}); try again later",
        transient=True,
    ),
)
