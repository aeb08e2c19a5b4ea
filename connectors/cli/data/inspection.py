"""Describe and check a dataset or a credentials document without showing its secrets."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from connectors.credentials.model import Credentials, parse_document, printable_name, validate
from connectors.errors import ConfigError, ConnectorError, IntegrityError
from connectors.formats import Format, Plain
from connectors.secrets import KEY_SIZE, SecretKey, redact_url
from connectors.storage.registry import backends, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.app.dataset import Dataset
    from connectors.storage.backend import Backend

__all__ = ["Finding", "inspect_dataset", "inspect_document", "measure", "moment", "parse_incomplete"]

_PROBLEMS = re.compile(r"; (?=credentials\b)")


@dataclass
class Finding:
    """The result of checking a dataset or a credentials document.

    Attributes:
        name: a file's name or a dataset's URL.
        backend: the backend that serves it, if one was found.
        location: its URL without the query, if known.
        format: its encryption format; "plain" if it is not encrypted.
        context: whether it is bound to a context.
        expires_at: when its credentials expire, if known.
        plain_size: its verified size in plain bytes, if it was opened.
        problems: one line for each problem.
        tampered: whether its bytes failed verification.
    """

    name: str
    backend: str | None = None
    location: str | None = None
    format: str | None = None
    context: bool | None = None
    expires_at: datetime | None = None
    plain_size: int | None = None
    problems: list[str] = field(default_factory=list)
    tampered: bool = False

    @property
    def good(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {
            **asdict(self),
            "good": self.good,
            "expires_at": self.expires_at.isoformat() if self.expires_at else None,
        }


def moment(when: datetime) -> str:
    """Format a time for people, with its distance from now.

    >>> moment(datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC))
    '2020-01-02 03:04:05 UTC, which is past'
    """
    left = when - datetime.now(UTC)
    if left <= timedelta(0):
        distance = "which is past"
    elif left < timedelta(minutes=2):
        distance = f"in {left.seconds} s"
    elif left < timedelta(hours=2):
        distance = f"in {round(left / timedelta(minutes=1))} minutes"
    elif left < timedelta(days=2):
        distance = f"in {round(left / timedelta(hours=1))} hours"
    else:
        distance = f"in {round(left / timedelta(days=1))} days"
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {distance}"


def inspect_document(name: str, data: bytes, location: str | None) -> Finding:
    """Check a credentials document, without any request.

    Args:
        name: its name in the result.
        data: the document.
        location: the URL it is for, if known; otherwise its members must identify the backend.
    """
    found = Finding(name)
    try:
        backend, credentials = _resolve(parse_document(data), location, found)
        _describe(found, backend, credentials, location)
    except ConnectorError as error:
        found.problems += _PROBLEMS.split(str(error))
    return found


def inspect_dataset(name: str, dataset: Dataset) -> Finding:
    """Check a dataset of an app config, without any request."""
    found = Finding(name)
    try:
        found.location = redact_url(dataset.location)
        dataset.filesystem()  # parses the location, and sends nothing
        _describe(found, dataset.backend, dataset.credentials, dataset.location)
    except ConnectorError as error:
        error.dataset = None  # the finding is named already
        found.problems += _PROBLEMS.split(str(error))
    return found


def measure(found: Finding, dataset: Dataset) -> None:
    """Open a dataset, which verifies its end, and record its plain size or the problem.

    For a folder, every object is opened and their sizes are added up.
    """
    try:
        fs, path = dataset.filesystem()
        found.plain_size = 0
        for name in fs.find(path) if dataset.is_folder else [path]:
            with fs.open(name, "rb") as file:
                found.plain_size += file.seek(0, os.SEEK_END)
    except ConnectorError as error:
        found.plain_size = None
        error.dataset = None  # the finding is named already
        found.problems.append(str(error))
        found.tampered = isinstance(error, IntegrityError)


def parse_incomplete(data: bytes) -> dict[str, Any]:
    """Parse a credentials document that may lack `encryption`, for access to the storage alone."""
    return {"encryption": None, **parse_document(data)}


def _describe(found: Finding, backend: Backend, credentials: Credentials, location: str | None) -> None:
    encryption = credentials.encryption
    found.backend = backend.name
    found.format = encryption.format if encryption else "plain"
    found.context = bool(encryption and encryption.context)
    _format(credentials)  # raises for what it does not support, such as a context with gcm
    found.expires_at = credentials.expires_at
    if found.expires_at is not None and found.expires_at <= datetime.now(UTC):
        found.problems.append(f"the credentials expired at {moment(found.expires_at)}; renew them")
    found.problems += credentials.problems(location)


def _resolve(document: Mapping[str, Any], location: str | None, found: Finding) -> tuple[Backend, Credentials]:
    if location is not None:
        found.location = redact_url(location)
        backend, credentials = resolve(location, document)
        backend.connect(location, credentials)  # parses the location, and sends nothing
        if credentials.binds_names(location):
            _format(credentials).bound("")  # raises if the format cannot do it
        return backend, credentials
    backend = _likely_backend(document)
    return backend, validate(backend.Credentials, document)


def _format(credentials: Credentials) -> Format:
    """Return the format, under another key: a reference to the key is not resolved."""
    encryption = credentials.encryption
    return Plain() if encryption is None else encryption.codec_under(SecretKey(bytes(KEY_SIZE)))


def _likely_backend(document: Mapping[str, Any]) -> Backend:
    """Return the backend of a document without a location: by its type, or by its members."""
    installed = {one.name: one.backend for one in backends() if one.backend is not None}
    name = document.get("type")
    if isinstance(name, str):
        if name not in installed:
            shown = printable_name(name)
            message = (
                f"credentials.type: no installed backend has the type {shown!r}; installed: {', '.join(installed)}"
            )
            raise ConfigError(message)
        return installed[name]()
    common = set(Credentials.model_fields) | {"type"}
    shares = {
        name: len((set(document) - common) & set(one.Credentials.model_fields)) for name, one in installed.items()
    }
    most = max(shares.values())
    likely = [name for name, share in shares.items() if share == most]
    if most == 0 or len(likely) > 1:
        message = (
            "credentials.type: the document does not say which storage it is for; "
            f"add the type ({', '.join(installed)}), or the dataset's location: --location URL"
        )
        raise ConfigError(message)
    return installed[likely[0]]()
