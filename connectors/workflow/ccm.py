"""The CCM profile: runtime configurations as Fortanix Confidential Computing Manager has them, and their digest.

For people who come from there. What is hashed is ``config``: app config items, labels, zone certificates, and the ids
of the datasets and applications on each port. What is beside it, ``extra``, is not: locations, where credentials are,
and the peers' addresses can change without the digest. A `RuntimeConfig` of `runtime` covers all of these.

The digest is the SHA-256 of compact JSON, with members in the order of the types below; names are sorted by their
bytes inside maps alone, and absent members are left out. It is not RFC 8785.

Source: the published test cases of https://github.com/fortanix/em-client-rust.
"""

from __future__ import annotations

import base64
import binascii
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError, model_validator

from connectors.app.layout import DEFAULT_ROOT, RUNTIME_CONFIG, application_files, dataset_files
from connectors.errors import InvalidDocument
from connectors.names import is_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "HashedConfig", "RuntimeAppConfig", "parse_runtime_app_config"]

_MODEL = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)
_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"

T = TypeVar("T")
Uuid = Annotated[str, StringConstraints(pattern=_UUID)]
"""A UUID, in lower case: as it is hashed."""


class _Part(BaseModel):
    model_config = _MODEL


class ConfigItem(_Part):
    """A file of the app config; without contents, one that is given elsewhere."""

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
    """What is connected: one of the two."""

    dataset: HashedDataset | None = None
    application: HashedApplication | None = None

    @model_validator(mode="after")
    def _check(self) -> HashedConnection:
        if (self.dataset is None) == (self.application is None):
            message = "a connection is a dataset or an application, one of them"
            raise ValueError(message)
        return self


class HashedWorkflow(_Part):
    """The workflow's part of what is hashed."""

    workflow_id: Uuid
    app_name: str
    port_map: dict[str, dict[str, HashedConnection]]
    app_acct_id: Uuid | None = None
    app_group_id: Uuid | None = None


class HashedConfig(_Part):
    """What is hashed."""

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
        """The SHA-256, in hexadecimal digits: what CCM calls the runtime configuration's hash."""
        return sha256(self.to_bytes()).hexdigest()


class DatasetConnection(_Part):
    """Where a dataset is, and where its credentials are."""

    location: str
    credentials: dict[str, Any] = {}


class ApplicationConnection(_Part):
    """Where a connected application is."""

    workflow_domain: str


class Connection(_Part):
    """What is not hashed of a connection."""

    dataset: DatasetConnection | None = None
    application: ApplicationConnection | None = None


class Extra(_Part):
    """What is not hashed."""

    connections: dict[str, dict[str, Connection]] = {}


class RuntimeAppConfig(_Part):
    """A whole runtime configuration.

    Attributes:
        config: what is hashed.
        extra: what is not.
    """

    config: HashedConfig
    extra: Extra = Extra()

    def files(
        self, credentials: Callable[[str, str, dict[str, Any]], bytes], root: str = DEFAULT_ROOT
    ) -> dict[str, bytes]:
        """Return the files of the app config folder, by their paths below it.

        Args:
            credentials: returns the credentials document of a dataset, for its port, its object's name and what `extra`
                says of its credentials.
            root: the folder that absolute paths of items must lie in.

        Raises:
            InvalidDocument: a name is not safe as a folder's, an item's path leads out of the folder or into the place
                of a connection, or `extra` connects what is not hashed.
        """
        files = {RUNTIME_CONFIG: json.dumps(self.model_dump(mode="json", exclude_none=True)).encode()}
        hashed = self.config.workflow.port_map if self.config.workflow else {}
        for port, objects in self.extra.connections.items():
            for name, connection in objects.items():
                if not is_name(port) or not is_name(name):
                    message = f"the port {port!r} or the object {name!r} cannot be a folder's name"
                    raise InvalidDocument(message)
                approved = hashed.get(port, {}).get(name)
                if approved is None or (approved.dataset is None) != (connection.dataset is None):
                    message = f"{port}/{name} is connected otherwise than what is hashed says"
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
    """Return an item's path below the folder. CCM writes items last, over anything; here nothing can be overwritten."""
    relative = path.removeprefix(root.rstrip("/") + "/")
    parts = relative.split("/")
    if not all(map(is_name, parts)) or parts[0] in taken:
        message = f"the app config item {path!r} does not lie in {root}, or lies where a port or another file is"
        raise InvalidDocument(message)
    return relative


def _decoded(path: str, contents: str) -> bytes:
    try:
        return base64.b64decode(contents, validate=True)
    except binascii.Error:
        message = f"the contents of the app config item {path!r} are not base64"
    raise InvalidDocument(message)


def parse_runtime_app_config(data: bytes) -> RuntimeAppConfig:
    """Return a runtime configuration from its JSON.

    Raises:
        InvalidDocument: it breaks a rule, which the message names with its member.
    """
    problems: list[str] = []
    try:
        return RuntimeAppConfig.model_validate_json(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        problems += [f"{'.'.join(map(str, detail['loc'])) or 'it'}: {detail['msg']}" for detail in details]
    message = f"this is no runtime configuration of CCM: {'; '.join(problems)}"
    raise InvalidDocument(message)


def _bytes(text: str) -> bytes:
    return text.encode()


def _sorted(members: dict[str, T]) -> dict[str, T]:
    return dict(sorted(members.items(), key=lambda member: _bytes(member[0])))
