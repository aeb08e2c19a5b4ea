"""The SFTP backend of `connectors`.

Importing this package is cheap: the SSH library is loaded by the first connection.
"""

from __future__ import annotations

from connectors_sftp.backend import SFTPBackend
from connectors_sftp.credentials import SFTPCredentials

__all__ = ["SFTPBackend", "SFTPCredentials"]
