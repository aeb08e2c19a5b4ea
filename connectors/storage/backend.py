"""The contract of a backend: it turns a location and credentials into a filesystem.

A backend is a class that a distribution registers under the entry-point group ``connectors.backends``::

    [project.entry-points."connectors.backends"]
    s3 = "connectors_s3:S3Backend"

Importing its module should be cheap: keep the storage's own libraries for `Backend.connect`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from connectors.errors import NotSupported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors._fsspec import AbstractFileSystem
    from connectors.credentials.model import Credentials

__all__ = ["Backend"]


class Backend(ABC):
    """One kind of storage. Subclass it, set the class variables, and register the class.

    Attributes:
        name: also the credentials' `type`.
        schemes: the location schemes it serves.
        Credentials: the model of its credentials documents.
        aliases: schemes of other tools for the same storage, each with the scheme to use here. They are not served,
            only suggested in an error; optional.
    """

    name: ClassVar[str]
    schemes: ClassVar[tuple[str, ...]]
    Credentials: ClassVar[type[Credentials]]
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})

    @abstractmethod
    def connect(self, location: str, credentials: Any) -> tuple[AbstractFileSystem, str]:
        """Return a filesystem of sealed bytes, and the location's path in it.

        The filesystem never has secrets among its fsspec storage options, and is not cached by fsspec
        (``cachable = False``). It may be an `OpensSources` and an `OpensSinks`: see `connectors.storage.capabilities`.

        Raises:
            InvalidLocation: the location is not one of this storage.
        """

    def presign(self, location: str, credentials: Any, method: str, expires: int) -> str:  # noqa: ARG002
        """Return a URL that needs no credentials to GET or PUT the object, for `expires` seconds.

        Raises:
            NotSupported: this storage cannot sign URLs.
        """
        message = f"the backend {self.name} does not presign URLs"
        raise NotSupported(message)
