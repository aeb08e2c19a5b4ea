"""The error codes of S3 and what they mean: Amazon S3 API Reference, "Error responses"."""

from __future__ import annotations

from connectors.errors import (
    AccessDenied,
    CredentialsExpired,
    ObjectExists,
    ObjectNotFound,
    StorageError,
    StorageUnavailable,
)
from connectors.storage import meaning

__all__ = ["MEANINGS", "NO_SUCH_UPLOAD"]

NO_SUCH_UPLOAD = "NoSuchUpload"
"""The code for a multipart upload that does not exist, or no longer exists."""

MEANINGS = (
    meaning("NoSuchBucket", ObjectNotFound, "there is no such bucket: {where}"),
    meaning("NoSuchKey NoSuchVersion NotFound 404", ObjectNotFound, "nothing is stored at {where}"),
    meaning(
        NO_SUCH_UPLOAD,
        StorageUnavailable,
        "the upload of {where} no longer exists ({code}): it was aborted, or completed by a request whose response "
        "was lost; check whether the object exists",
    ),
    meaning(
        "ExpiredToken ExpiredTokenException RequestExpired TokenRefreshRequired",
        CredentialsExpired,
        "the credentials for {where} have expired ({code}); get new ones",
    ),
    meaning(
        "RequestTimeTooSkewed RequestInTheFuture",
        AccessDenied,
        "S3 refuses the request for {where}: this machine's clock is wrong ({code})",
    ),
    meaning(
        "AccessDenied AccountProblem AllAccessDisabled Forbidden InvalidAccessKeyId InvalidSecurity InvalidToken "
        "NotSignedUp SignatureDoesNotMatch Unauthorized UnrecognizedClientException",
        AccessDenied,
        "S3 does not let these credentials {action} {where} ({code})",
    ),
    meaning(
        "AuthorizationHeaderMalformed AuthorizationQueryParametersError IllegalLocationConstraintException "
        f"PermanentRedirect Redirect TemporaryRedirect {' '.join(map(str, range(300, 400)))}",
        StorageError,
        "{where} is in another region or at another endpoint; set region or endpoint_url in the credentials ({code})",
    ),
    meaning("InvalidObjectState", StorageError, "{where} is archived; restore it first ({code})"),
    meaning(
        # One of two simultaneous conditional writes; a later request tells which one won.
        "ConditionalRequestConflict",
        ObjectExists,
        "{where} already exists, and mode 'xb' does not replace it ({code})",
        transient=True,
    ),
    meaning(
        "Busy IncompleteBody InternalError OperationAborted RequestTimeout RequestTimeoutException ServiceUnavailable "
        "SlowDown Throttling ThrottlingException TooManyRequestsException",
        StorageUnavailable,
        "S3 cannot {action} {where} now ({code}); try again later",
        transient=True,
    ),
)
