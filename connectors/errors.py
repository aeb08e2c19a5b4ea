"""Every error this project raises, in one tree.

::

    ConnectorError
    ├── ConfigError (ValueError)              the configuration or input is wrong
    │   ├── InvalidKey                        not 32 bytes, not 64 hexadecimal digits
    │   ├── InvalidCredentials                a credentials document breaks a rule
    │   ├── InvalidLocation                   no scheme, an unknown scheme, a query in it
    │   ├── BackendNotFound                   no installed distribution serves the scheme or type
    │   ├── BackendConflict                   two distributions claim one scheme or type
    │   └── UnknownDataset (KeyError)         no such port or object in the app config
    ├── IntegrityError                        sealed bytes are not what their owner encrypted
    │   ├── PinMismatch                       encrypted with the key, but not the pinned version
    │   ├── WrongKey                          no header under this key and context
    │   └── TruncatedObject                   shorter than its format allows, or cut
    ├── InvalidDocument (ValueError)          a workflow's document breaks a rule, or does not fit the others
    ├── NotApproved                           a request that cannot be relied on; each of these says why:
    │   ├── Undecided                         parties have not decided yet
    │   ├── Declined                          a party has declined
    │   ├── RequestExpired                    it expired before all parties approved
    │   ├── Revoked                           a party has revoked its approval
    │   ├── NotSubmitted                      the requester has not signed it
    │   ├── UntrustedParty                    a party is not among the trusted ones
    │   ├── BadSignature                      a statement is not signed by the party that it names
    │   ├── InvalidStatement                  a statement that its party may not make, or about another request
    │   ├── UnknownIdentifier                 none of its applications has this identifier
    │   ├── MeasurementMismatch               the running application is not the approved one
    │   └── CredentialsMismatch               credentials are missing, or not those that were approved
    ├── StorageError (OSError)                the storage refused or failed
    │   ├── ObjectNotFound (FileNotFoundError)
    │   ├── ObjectExists (FileExistsError)
    │   ├── NotAnObject (IsADirectoryError)   a folder where a file was expected
    │   ├── AccessDenied (PermissionError)
    │   │   ├── CredentialsExpired            renew them, then `Dataset.refresh()`
    │   │   └── KeyRefused                    the dataset's key is not given to this process
    │   ├── ObjectChanged                     replaced between two reads of it
    │   ├── MachineFailed                     this machine: a full disk, a quota, no more open files
    │   └── StorageUnavailable                unreachable, overloaded or answering nonsense
    │       └── KeyUnavailable                that is true of what gives the dataset's key
    └── NotSupported                          this backend, format or mode cannot do that

An error says what to do, and names the dataset (``port/object``) where there is one. No error ever
holds a secret or the query of a signed URL.
"""

from __future__ import annotations

from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "AccessDenied",
    "BackendConflict",
    "BackendNotFound",
    "BadSignature",
    "ConfigError",
    "ConnectorError",
    "CredentialsExpired",
    "CredentialsMismatch",
    "Declined",
    "IntegrityError",
    "InvalidCredentials",
    "InvalidDocument",
    "InvalidKey",
    "InvalidLocation",
    "InvalidStatement",
    "KeyRefused",
    "KeyUnavailable",
    "MachineFailed",
    "MeasurementMismatch",
    "NotAnObject",
    "NotApproved",
    "NotSubmitted",
    "NotSupported",
    "ObjectChanged",
    "ObjectExists",
    "ObjectNotFound",
    "PinMismatch",
    "RequestExpired",
    "Revoked",
    "StorageError",
    "StorageUnavailable",
    "TruncatedObject",
    "Undecided",
    "UnknownDataset",
    "UnknownIdentifier",
    "UntrustedParty",
    "WrongKey",
    "naming",
]


class ConnectorError(Exception):
    """The base class of all errors of this project.

    Attributes:
        dataset: ``port/object`` of the dataset concerned, or None if there is none.
        inside: the path of an object in a folder dataset, or None.
    """

    dataset: str | None = None
    inside: str | None = None

    def __str__(self) -> str:
        """Return the message, prefixed with the dataset's name and the object's path in it, if they are known."""
        message = ": ".join(str(arg) for arg in self.args)
        where = "/".join(name for name in (self.dataset, self.inside) if name)
        return f"{where}: {message}" if where else message


class ConfigError(ConnectorError, ValueError):
    """The configuration or input is wrong."""


class InvalidKey(ConfigError):
    """A key is neither 32 bytes nor 64 hexadecimal digits."""


class InvalidCredentials(ConfigError):
    """A credentials document breaks a rule; the message names member and rule, never the value."""


class InvalidLocation(ConfigError):
    """A location is not a URL that the credentials' backend can reach."""


class BackendNotFound(ConfigError):
    """No installed distribution serves this scheme or credentials type."""


class BackendConflict(ConfigError):
    """Two installed distributions claim the same scheme or credentials type."""


class UnknownDataset(ConfigError, KeyError):
    """The app config has no such port, or the port no such object; the message lists the existing ones."""


class IntegrityError(ConnectorError):
    """Sealed bytes are not what their owner encrypted: modified, replaced, or encrypted with another key.

    Deliberately not an `OSError`: code that retries or ignores I/O errors must not swallow it.
    """


class PinMismatch(IntegrityError):
    """The object is encrypted with this key, but it is not the version that is pinned."""


class WrongKey(IntegrityError):
    """The object's header was not written with this key and context."""


class TruncatedObject(IntegrityError):
    """The object is shorter than its format allows, or ends where no object can end."""


class InvalidDocument(ConnectorError, ValueError):
    """A workflow's document breaks a rule, or does not fit the others.

    Documents come from other people: deliberately no `ConfigError`, which is about what you configured yourself.
    """


class WeakKey(InvalidDocument):
    """A party's public key with which others could sign, or which is of no supported kind.

    Attributes:
        key_id: the id of the key in signatures.
        reason: what is wrong with it.
    """

    key_id: str | None = None
    reason: str | None = None


_NONE: Mapping[str, str] = MappingProxyType({})


class NotApproved(ConnectorError):
    """A request that cannot be relied on; a subclass says why.

    Attributes:
        request: the digest of the request, or None where it is not known.
        parties: whom the error is about: the digests of parties, each with its name.
    """

    request: str | None = None
    parties: Mapping[str, str] = _NONE


class Undecided(NotApproved):
    """Its `parties` have not decided yet."""


class Declined(NotApproved):
    """Its `parties` have declined.

    Attributes:
        reasons: why, by the digests of the parties.
    """

    reasons: Mapping[str, str] = _NONE


class RequestExpired(NotApproved):
    """It expired before its `parties` approved.

    Attributes:
        expires: when, in UTC, as RFC 3339 writes it.
    """

    expires: str | None = None


class Revoked(NotApproved):
    """Its `parties` have revoked their approval.

    Attributes:
        reasons: why, by the digests of the parties.
    """

    reasons: Mapping[str, str] = _NONE


class NotSubmitted(NotApproved):
    """The requester, who is in `parties`, has not signed the request."""


class UntrustedParty(NotApproved):
    """Its `parties` are not among the trusted ones."""


class BadSignature(NotApproved):
    """A statement is not signed by the party that it names, which is in `parties`.

    Attributes:
        key_id: the key that the signature names.
        known_key: whether that is a key of the party; then the signature is over other bytes.
    """

    key_id: str | None = None
    known_key: bool = False


class InvalidStatement(NotApproved):
    """A statement that its party may not make, or has made already, or that is about another request.

    Attributes:
        kind: what the statement is: a submission, a decision or a revocation.
        member: the member of the statement that is wrong; None where there are two statements.
        expected: what the member should be, where one value is right.
        found: what it is.
    """

    kind: str | None = None
    member: str | None = None
    expected: str | None = None
    found: str | None = None


class UnknownIdentifier(NotApproved):
    """None of its applications has this identifier.

    Attributes:
        identifier: the identifier that was looked for.
        known: the identifiers of its applications, by their ids in the workflow.
    """

    identifier: str | None = None
    known: Mapping[str, str] = _NONE


class MeasurementMismatch(NotApproved):
    """The running application is not the approved one.

    Attributes:
        object: the id of the application in the workflow.
        member: what differs from the approved build: "measurement", "platform" or "debug".
        expected: what was approved: a measurement in hexadecimal digits, a platform's name, "true" or "false".
        found: what the application's attestation says.
    """

    object: str | None = None
    member: str | None = None
    expected: str | None = None
    found: str | None = None


class CredentialsMismatch(NotApproved):
    """Credentials of `dataset` are missing, or are not those that were approved.

    Attributes:
        document: the digest of the dataset's document.
        member: the member of the document that the credentials do not match.
        expected: the member's approved value; None if it has none.
        found: for ``credentials_digest``, the commitment that the credentials open; otherwise None: credentials are
            missing, or the value is a part of them.
    """

    document: str | None = None
    member: str | None = None
    expected: str | None = None
    found: str | None = None


class StorageError(ConnectorError, OSError):
    """The storage refused or failed.

    If the operating system reported the error, it has the `errno`, `strerror` and `filename` of an `OSError`.
    """

    def __reduce__(self) -> Any:
        # An OSError with a single argument would lose them when pickled.
        system = {"errno": self.errno, "strerror": self.strerror, "filename": self.filename}
        return type(self), self.args, {**vars(self), **system}


class ObjectNotFound(StorageError, FileNotFoundError):
    """Nothing is stored at the location."""


class ObjectExists(StorageError, FileExistsError):
    """The object already exists, and the mode was exclusive creation."""


class NotAnObject(StorageError, IsADirectoryError):
    """The path is a folder, but an object was expected."""


class AccessDenied(StorageError, PermissionError):
    """The storage does not accept these credentials for this operation."""


class CredentialsExpired(AccessDenied):
    """The credentials have expired: renew them, then call `Dataset.refresh()`."""


class KeyRefused(AccessDenied):
    """What holds the dataset's key does not give it: wrong credentials, a missing permission, a wrong passphrase."""


class ObjectChanged(StorageError):
    """The object was replaced while it was being read; open it again."""


class MachineFailed(StorageError):
    """This machine failed, not the storage: a full disk, an exceeded quota, too many open files."""


class StorageUnavailable(StorageError):
    """The storage cannot be reached, is overloaded, or returned an invalid response."""


class KeyUnavailable(StorageUnavailable):
    """What holds the dataset's key cannot be reached, is overloaded, or returned an invalid response."""


class NotSupported(ConnectorError, NotImplementedError):
    """This backend, format or mode cannot do what was asked."""


@contextmanager
def naming(dataset: str | None, inside: str | None = None) -> Iterator[None]:
    """Name `dataset`, and the object `inside` it, in every `ConnectorError` that leaves the block without a name.

    >>> with naming("input/conditions"):
    ...     raise ObjectNotFound("nothing is stored at s3://clinic/conditions")
    Traceback (most recent call last):
    connectors.errors.ObjectNotFound: input/conditions: nothing is stored at s3://clinic/conditions
    """
    try:
        yield
    except ConnectorError as error:
        if error.dataset is None:
            error.dataset = dataset
        if error.inside is None:
            error.inside = inside
        raise
