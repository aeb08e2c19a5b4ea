"""The CCM profile: runtime configurations of Fortanix Confidential Computing Manager, and their digest.

For users of CCM. The digest covers ``config``: app config items, labels, zone certificates, and the ids of the datasets
and applications on each port. It does not cover ``extra``: locations, where credentials are, and the addresses of peers
can change without changing the digest. A `RuntimeConfig` of `runtime` covers all of these.

The digest is the SHA-256 of compact JSON, with members in the order of the types below; only the names in maps are
sorted, by their bytes, and absent members are left out. It is not RFC 8785.

Source: the published test cases of https://github.com/fortanix/em-client-rust.
"""

from __future__ import annotations

import base64
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import ConfigDict, Field, StringConstraints, ValidationError, model_validator

from connectors.app.layout import DEFAULT_ROOT, RUNTIME_CONFIG, application_files, dataset_files
from connectors.errors import InvalidDocument
from connectors.models import Model
from connectors.names import is_safe_name
from connectors.workflow.documents.canonical import check_names
from connectors.workflow.documents.model import problems_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "HashedConfig", "RuntimeAppConfig", "parse_runtime_app_config"]

_MODEL = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

T = TypeVar("T")
Uuid = Annotated[str, StringConstraints(pattern=_UUID)]
"""A UUID in lower case, as it is hashed."""


class _Part(Model):
    model_config = _MODEL


class ConfigItem(_Part):
    """A file of the app config; without contents, it comes from elsewhere."""

    contents: str | None = None


class HashedDataset(_Part):
    """A dataset, by its ids in CCM."""

    id: Uuid
    acct_id: Uuid | None = None
    group_id: Uuid | None = None


class HashedApplication(_Part):
    """A connected application, by its ids in CCM."""

    acct_id: Uuid | None = None
    group_id: Uuid | None = None


class HashedConnection(_Part):
    """A connection: either a dataset or an application."""

    dataset: HashedDataset | None = None
    application: HashedApplication | None = None

    @model_validator(mode="after")
    def _check(self) -> HashedConnection:
        if (self.dataset is None) == (self.application is None):
            message = "a connection must be either a dataset or an application"
            raise ValueError(message)
        return self


class HashedWorkflow(_Part):
    """The workflow in the hashed part."""

    workflow_id: Uuid
    app_name: str
    port_map: dict[str, dict[str, HashedConnection]]
    app_acct_id: Uuid | None = None
    app_group_id: Uuid | None = None


class HashedConfig(_Part):
    """The part that the digest covers."""

    app_config: dict[str, ConfigItem]
    labels: dict[str, str]
    zone_ca: list[str]
    workflow: HashedWorkflow | None = None

    def to_bytes(self) -> bytes:
        """Return the bytes that are hashed."""
        members = {**self.model_dump(mode="json", exclude_none=True), "zone_ca": sorted(set(self.zone_ca), key=_bytes)}
        for name in ("app_config", "labels"):
            members[name] = _sorted(members[name])
        if self.workflow is not None:
            ports = members["workflow"]["port_map"]
            members["workflow"]["port_map"] = _sorted({port: _sorted(ports[port]) for port in ports})
        return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """The SHA-256 in hexadecimal digits, which CCM calls the runtime configuration's hash."""
        return sha256(self.to_bytes()).hexdigest()


class DatasetConnection(_Part):
    """Where a dataset is, and where its credentials are."""

    location: str
    credentials: dict[str, Any] = Field(default_factory=dict)


class ApplicationConnection(_Part):
    """Where a connected application is."""

    workflow_domain: str


class Connection(_Part):
    """The part of a connection that is not hashed."""

    dataset: DatasetConnection | None = None
    application: ApplicationConnection | None = None


class Extra(_Part):
    """The part that the digest does not cover."""

    connections: dict[str, dict[str, Connection]] = Field(default_factory=dict)


class RuntimeAppConfig(_Part):
    """A whole runtime configuration.

    Attributes:
        config: the part that is hashed.
        extra: the part that is not.
    """

    config: HashedConfig
    extra: Extra = Extra()

    def files(
        self, credentials: Callable[[str, str, dict[str, Any]], bytes], root: str = DEFAULT_ROOT
    ) -> dict[str, bytes]:
        """Return the files of the app config folder, by their paths below it.

        Args:
            credentials: returns the credentials document of a dataset, given its port, its object's name and its
                credentials in `extra`.
            root: the folder that absolute paths of items must be in.

        Raises:
            InvalidDocument: a name is not safe for a folder, an item's path is outside the folder or in that of a
                connection, or `extra` has a connection that is not hashed.
        """
        files = {RUNTIME_CONFIG: json.dumps(self.model_dump(mode="json", exclude_none=True)).encode()}
        hashed = self.config.workflow.port_map if self.config.workflow else {}
        for port, objects in self.extra.connections.items():
            for name, connection in objects.items():
                if not is_safe_name(port) or not is_safe_name(name):
                    message = f"the port {port!r} or the object {name!r} cannot be a folder's name"
                    raise InvalidDocument(message)
                approved = hashed.get(port, {}).get(name)
                if approved is None or (approved.dataset is None) != (connection.dataset is None):
                    message = f"{port}/{name} is not connected as in the hashed part"
                    raise InvalidDocument(message)
                if connection.dataset is not None:
                    document = credentials(port, name, connection.dataset.credentials)
                    files |= dataset_files(port, name, connection.dataset.location, document)
                elif connection.application is not None:
                    files |= application_files(port, name, connection.application.workflow_domain)
        taken = {path.partition("/")[0] for path in files} | set(hashed)
        for path, item in self.config.app_config.items():
            if item.contents is not None:
                files[_item_path(path, root, taken)] = _decoded(path, item.contents)
        return files


def _item_path(path: str, root: str, taken: set[str]) -> str:
    """Return an item's path below the folder. In CCM, items overwrite other files; here that is an error."""
    relative = path.removeprefix(root.rstrip("/") + "/")
    parts = relative.split("/")
    if not all(map(is_safe_name, parts)) or parts[0] in taken:
        message = f"the app config item {path!r} is not in {root}, or is in the place of a port or another file"
        raise InvalidDocument(message)
    return relative


def _decoded(path: str, contents: str) -> bytes:
    try:
        return base64.b64decode(contents, validate=True)
    except ValueError:  # binascii.Error is one; text that is not ASCII raises another
        message = f"the contents of the app config item {path!r} are not base64"
    raise InvalidDocument(message)


def parse_runtime_app_config(data: bytes) -> RuntimeAppConfig:
    """Parse a runtime configuration.

    Raises:
        InvalidDocument: it breaks a rule; the message names the rule and the member. Or `check_names` refuses it.
    """
    try:
        parsed = json.loads(data)
    except (ValueError, RecursionError):
        parsed = None
    check_names(parsed if isinstance(parsed, dict) else {}, len(data))
    try:
        if parsed is not None:
            return RuntimeAppConfig.model_validate_json(data)
        problems = "it is not JSON"
    except ValidationError as error:
        problems = problems_of(error)
    message = f"this is not a runtime configuration of CCM: {problems}"
    raise InvalidDocument(message)


def _bytes(text: str) -> bytes:
    return text.encode()


def _sorted(members: dict[str, T]) -> dict[str, T]:
    return dict(sorted(members.items(), key=lambda member: _bytes(member[0])))
