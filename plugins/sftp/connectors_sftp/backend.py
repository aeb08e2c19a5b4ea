"""The SFTP backend."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from connectors.storage import Backend
from connectors_sftp.credentials import SFTPCredentials
from connectors_sftp.location import split_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors_sftp.filesystem import SFTP

__all__ = ["SFTPBackend"]


class SFTPBackend(Backend):
    """Files on an SFTP server: ``sftp://host/path``."""

    name = "sftp"
    schemes = ("sftp", "ssh")
    Credentials = SFTPCredentials
    aliases: ClassVar[Mapping[str, str]] = {"scp": "sftp"}

    def connect(self, location: str, credentials: SFTPCredentials) -> tuple[SFTP, str]:
        """Return a filesystem of the server's sealed files, and the absolute path without a trailing slash.

        Makes no connection yet.

        Raises:
            InvalidLocation: this is not a location on an SFTP server.
            InvalidCredentials: the private key cannot be read, or its passphrase is wrong.
        """
        from connectors_sftp.filesystem import SFTP  # noqa: PLC0415 - asyncssh takes a third of a second to import

        endpoint, path = split_location(location)
        return SFTP(endpoint, credentials), path.rstrip("/")
