"""Opens botocore sessions with the given credentials, isolated from the machine's configuration unless ambient."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ProfileNotFound
from botocore.loaders import Loader
from botocore.session import Session

from connectors.errors import AccessDenied, ConfigError
from connectors.storage import refuse_key_log

if TYPE_CHECKING:
    from connectors_s3.account import AwsAccount
    from connectors_s3.credentials import S3Credentials

__all__ = ["DEFAULT_REGION", "configured_endpoint", "from_machine", "open_session", "region"]

DEFAULT_REGION = "us-east-1"
"""The region to sign for if there is an endpoint but no region: compatible stores expect this one."""


def open_session(credentials: AwsAccount) -> Any:
    """Return a session of botocore with `credentials`.

    Unless they are ambient, the session uses nothing from the AWS_* variables, ~/.aws or the instance metadata: no
    credentials, endpoint, region or option.
    """
    _withhold_signatures()
    if credentials.ambient:
        refuse_key_log("botocore")
    return Session(profile=credentials.profile) if credentials.ambient else _isolated_session(credentials)


def _isolated_session(credentials: AwsAccount) -> Any:
    """Return a session that uses nothing from the machine's configuration."""
    session = Session(session_vars=_without_lookups(Session.SESSION_VARIABLES))
    # ~/.aws/models could redefine the requests to S3. The sections s3 and proxies_config have no session variable.
    builtin = Loader(extra_search_paths=[Loader.BUILTIN_DATA_PATH], include_default_search_paths=False)
    session.register_component("data_loader", builtin)
    store = session.get_component("config_store")
    for section in ("s3", "proxies_config"):
        store.set_config_variable(section, {})
    if credentials.access_key_id and credentials.secret_access_key:
        token = credentials.session_token
        session.set_credentials(
            credentials.access_key_id, credentials.secret_access_key.reveal(), token.reveal() if token else None
        )
    return session


def _without_lookups(variables: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
    """Return botocore's configuration variables, which keep their defaults but are not looked up anywhere."""
    isolated = {name: (None, None, default, convert) for name, (_, _, default, convert) in variables.items()}
    for name in ("config_file", "credentials_file"):
        isolated[name] = (None, None, os.devnull, None)
    return isolated


def region(credentials: S3Credentials) -> str | None:
    """Return the region to sign for; None if it is the bucket's, and has to be found."""
    return credentials.region or (DEFAULT_REGION if credentials.endpoint_url else None)


def configured_endpoint(session: Any, service: str, region_name: str, **options: Any) -> str:
    """Return the endpoint of a service that the machine's configuration leads to.

    Args:
        session: an ambient session of botocore.
        service: the service's name.
        region_name: the region.
        options: those of the service, for botocore's `Config`.
    """
    client = session.create_client(service, region_name=region_name, config=Config(**options))
    try:
        endpoint: str = client.meta.endpoint_url
    finally:
        client.close()
    return endpoint


def from_machine(call: Any) -> Any:
    """Return the result of `call`, which reads the machine's configuration; botocore's errors quote it."""
    try:
        return call()
    except ConfigError:
        raise
    except ProfileNotFound:
        message = "the profile in the credentials does not exist on this machine"
    except (BotoCoreError, ValueError):
        message = "the credentials are ambient, but this machine's configuration for AWS is invalid"
    raise AccessDenied(message)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _withhold_signatures() -> None:
    """Keep signatures and session tokens out of the logs.

    At DEBUG, ``botocore.auth`` logs each canonical request and its signature, ``botocore.endpoint`` each request with
    its headers, and ``botocore.parsers`` each response: some are for credentials. A presigned URL can be made from
    these. Nothing else in these logs is worth that risk.
    """
    for name in ("botocore.auth", "botocore.endpoint", "botocore.httpsession", "botocore.parsers"):
        logging.getLogger(name).addFilter(_above_debug)  # adding it again changes nothing
