"""AWS KMS for tests: moto's, on loopback, which checks the signature of each request and whether IAM allows it."""

from __future__ import annotations

import json
import logging
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["REGION", "KmsAccount", "kms_account"]

REGION = "eu-west-1"
_USER, _ROLE = "clinic", "enclave"
_LOUD = ("moto", "werkzeug")
"""The loggers of the server, which logs what it is sent: its logs are not those of the code under test."""


class KmsAccount:
    """A running moto with a user who may encrypt and decrypt with its KMS keys, and nothing else.

    Attributes:
        endpoint: its URL.
        requests: how many requests have arrived.
        access_key, secret_key: the user's access key.
    """

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import (  # noqa: PLC0415 - takes a while
            DomainDispatcherApplication,
            create_backend_app,
        )
        from werkzeug.serving import make_server  # noqa: PLC0415

        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.WARNING)
        self._running = True
        self._application = DomainDispatcherApplication(create_backend_app)
        self.requests = 0
        self._server = make_server("127.0.0.1", 0, self._count, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._check_permissions(False)
        iam = self._client("iam")
        iam.create_user(UserName=_USER)
        made = iam.create_access_key(UserName=_USER)["AccessKey"]
        self.access_key: str = made["AccessKeyId"]
        self.secret_key: str = made["SecretAccessKey"]
        self.allow("kms:Encrypt", "kms:Decrypt")

    def _count(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.requests += 1
        return self._application(environ, start_response)

    def _client(self, service: str) -> Any:
        """Return a client of boto3 that may do everything while permissions are not checked."""
        import boto3  # noqa: PLC0415

        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="AKIDOWNER",
            aws_secret_access_key="owner",
        )

    def _check_permissions(self, check: bool) -> None:
        """Have moto check signatures and permissions, or not: its documentation, "IAM-like Access Control"."""
        body, headers = b"0" if check else b"inf", {"Content-Type": "text/plain"}
        url = f"{self.endpoint}/moto-api/reset-auth"
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method="POST")).close()

    @contextmanager
    def _as_owner(self, service: str) -> Iterator[Any]:
        self._check_permissions(False)
        yield self._client(service)
        self._check_permissions(True)

    def allow(self, *actions: str) -> None:
        """Let the user do these things, and no others."""
        effect = {"Effect": "Allow", "Action": list(actions)} if actions else {"Effect": "Deny", "Action": "*"}
        policy = {"Version": "2012-10-17", "Statement": [{**effect, "Resource": "*"}]}
        with self._as_owner("iam") as iam:
            iam.put_user_policy(UserName=_USER, PolicyName="keys", PolicyDocument=json.dumps(policy))

    def create_key(self, alias: str | None = None, **options: Any) -> str:
        """Create a KMS key, with an alias if it is given; return its ARN."""
        with self._as_owner("kms") as kms:
            arn: str = kms.create_key(**options)["KeyMetadata"]["Arn"]
            if alias is not None:
                kms.create_alias(AliasName=alias, TargetKeyId=arn)
        return arn

    def point_alias(self, alias: str, arn: str) -> None:
        """Have an alias name another key."""
        with self._as_owner("kms") as kms:
            kms.update_alias(AliasName=alias, TargetKeyId=arn)

    def encrypt(self, arn: str, data: bytes, context: dict[str, str]) -> bytes:
        """Return bytes that a KMS key has encrypted, by boto3."""
        with self._as_owner("kms") as kms:
            made: bytes = kms.encrypt(KeyId=arn, Plaintext=data, EncryptionContext=context)["CiphertextBlob"]
        return made

    def session(self) -> dict[str, str]:
        """Return temporary keys of a role that may encrypt and decrypt, as members of a document."""
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
        with self._as_owner("iam") as iam:
            arn = iam.create_role(RoleName=_ROLE, AssumeRolePolicyDocument=json.dumps(policy))["Role"]["Arn"]
            iam.put_role_policy(RoleName=_ROLE, PolicyName="keys", PolicyDocument=json.dumps(policy))
        with self._as_owner("sts") as sts:
            made = sts.assume_role(RoleArn=arn, RoleSessionName=_ROLE)["Credentials"]
        names = {
            "AccessKeyId": "access_key_id",
            "SecretAccessKey": "secret_access_key",
            "SessionToken": "session_token",
        }
        return {member: made[name] for name, member in names.items()}

    def forget_role(self) -> None:
        """Take the permissions of the role whose temporary keys `session` returned."""
        with self._as_owner("iam") as iam:
            iam.delete_role_policy(RoleName=_ROLE, PolicyName="keys")

    def stop(self) -> None:
        """Stop the server, and drop what it holds: connections are refused. Stopping it again changes nothing."""
        if not self._running:
            return
        self._running = False
        self._check_permissions(False)
        urllib.request.urlopen(urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")).close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for name in _LOUD:
            logging.getLogger(name).setLevel(logging.NOTSET)


@contextmanager
def kms_account() -> Iterator[KmsAccount]:
    """Run moto in a thread of this process, whose state in this process is dropped at the end."""
    account = KmsAccount()
    try:
        yield account
    finally:
        account.stop()
