"""The base of backends of stores of buckets: parses the location, and checks what a URL is presigned for."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import ConfigError, InvalidLocation, NotSupported
from connectors.secrets import redact_url
from connectors.storage.backend import Backend

if TYPE_CHECKING:
    from connectors.storage.bucket_filesystem import BucketFileSystem
    from connectors.storage.location import BucketLocation, BucketPlace

__all__ = ["MAX_EXPIRES", "BucketBackend"]

MAX_EXPIRES = 7 * 24 * 3600
"""The longest time in seconds for which a URL can be presigned. It is the longest that S3 ("Authenticating requests:
using query parameters") and Google ("V4 signing process") allow, and that of Azure's user delegation keys ("Get User
Delegation Key"). A store may sign for longer with a key of the account, but such a URL can be revoked only together
with the key."""


class BucketBackend(Backend):
    """A store of buckets. A subclass defines `location` besides the class variables of `Backend`.

    Attributes:
        location: the form of its locations.
    """

    location: ClassVar[BucketLocation]

    def connect(self, location: str, credentials: Any) -> tuple[BucketFileSystem, str]:
        """Return a filesystem of the account's sealed objects, and ``bucket/key`` without a trailing slash.

        Makes no request, not even for a token.

        Raises:
            InvalidLocation: this is not a location in the store.
            ConfigError: as `filesystem` does.
        """
        place = self.location.parse(location)
        return self.filesystem(place, credentials), place.path.rstrip("/")

    @abstractmethod
    def filesystem(self, place: BucketPlace, credentials: Any) -> BucketFileSystem:
        """Return a filesystem of the objects that an account can see; makes no request.

        Args:
            place: where the dataset is, which may name the account.
            credentials: the account's.

        Raises:
            InvalidLocation: the location names another account than the credentials.
            ConfigError: the credentials cannot be used on this machine.
        """

    def presign(self, location: str, credentials: Any, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT the object without credentials for `expires` seconds.

        Raises:
            ConfigError: `expires` is not between 1 and 604,800.
            NotSupported: another method, or credentials that cannot sign URLs.
            InvalidLocation: this is not a location in the store, or it is a folder.
            AccessDenied, StorageUnavailable: what signs the URL is not available.
        """
        place = self.location.parse(location)
        if place.is_folder:
            message = f"{redact_url(location)} is a folder; a URL is presigned for one object"
            raise InvalidLocation(message)
        if method.upper() not in ("GET", "PUT"):
            message = f"URLs for {self.location.store} are presigned for GET or PUT, not for {method}"
            raise NotSupported(message)
        if isinstance(expires, bool) or not isinstance(expires, int) or not 1 <= expires <= MAX_EXPIRES:
            message = f"a presigned URL is valid for 1 to {MAX_EXPIRES} seconds, not for {expires}"
            raise ConfigError(message)
        if credentials.anonymous:
            message = "anonymous credentials cannot sign URLs; a public object needs no presigned URL"
            raise NotSupported(message)
        return self.sign_url(place, credentials, method.upper(), expires)

    @abstractmethod
    def sign_url(self, place: BucketPlace, credentials: Any, method: str, expires: int) -> str:
        """Return a URL that can GET or PUT an object; the arguments are checked. Raises as `presign` does."""
