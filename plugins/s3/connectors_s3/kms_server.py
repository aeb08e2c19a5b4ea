"""The API of AWS KMS: the operations Encrypt and Decrypt of the AWS KMS API Reference, as AWS JSON 1.1."""

from __future__ import annotations

import base64
import contextlib
import importlib.metadata
import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from connectors.errors import AccessDenied, ConfigError, KeyRefused
from connectors.secrets import Hidden, SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Request
from connectors_s3.kms_reference import kms_endpoint_problem, region_in
from connectors_s3.regions import host_of
from connectors_s3.sessions import configured_endpoint, from_machine, open_session
from connectors_s3.signer import SigV4Signer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.secrets import SecretKey
    from connectors.storage import Headers
    from connectors_s3.kms_reference import AwsKmsWrapping

__all__ = ["KmsServer"]

_AGENT = f"enclave-connectors-s3/{importlib.metadata.version('enclave-connectors-s3')}"

_CREDENTIALS = "there is no such access key, or its session token is wrong; correct the credentials"
_SIGNATURE = "secret_access_key is wrong, or this machine's clock is"
_EXPIRED = "the session token has expired; get new credentials, put them into the document and call Dataset.refresh()"
_PERMISSION = (
    "the key's policy or IAM must allow these credentials kms:Decrypt to unwrap, or kms:Encrypt to wrap, with this "
    "context; this is also said of a key that does not exist"
)
_KIND = "it is not a symmetric key for encryption (SYMMETRIC_DEFAULT, ENCRYPT_DECRYPT); name one that is"


class KmsServer(KeyServer):
    """One key of AWS KMS, and who asks for it.

    Args:
        place: both.

    Raises:
        KeyRefused: the credentials are ambient, and this machine provides none that work.
        ConfigError: this machine's configuration names an invalid endpoint.
    """

    name = "AWS KMS"
    # AWS KMS API Reference, "Decrypt", "Encrypt" and "Common errors".
    reasons: ClassVar[Mapping[str, str]] = {
        "AccessDeniedException": _PERMISSION,
        "NotAuthorized": _PERMISSION,
        "DisabledException": "the key is disabled; its owner has to enable it",
        "KMSInvalidStateException": (
            "the key is pending deletion or import, or its key store is disconnected; its owner has to make it usable"
        ),
        "NotFoundException": "there is no such key or alias in this account and region; check key_id and region",
        "InvalidCiphertextException": (
            "the wrapped key was changed, or was wrapped with another context; give exactly that context"
        ),
        "IncorrectKeyException": "another key wrapped this one; name that key in key_id",
        "InvalidKeyUsageException": _KIND,
        "UnsupportedOperationException": _KIND,
        "ValidationException": "it does not accept key_id, context or wrapped; copy them again",
        "ExpiredTokenException": _EXPIRED,
        "ExpiredToken": _EXPIRED,
        "UnrecognizedClientException": _CREDENTIALS,
        "InvalidClientTokenId": _CREDENTIALS,
        "MissingAuthenticationToken": _CREDENTIALS,
        "InvalidSignatureException": _SIGNATURE,
        "IncompleteSignature": _SIGNATURE,
        "RequestExpired": "this machine's clock is wrong",
        "OptInRequired": "the account has not enabled this service or region",
    }
    # From the same pages, and what botocore's retries count as throttling.
    transient: ClassVar[frozenset[str]] = frozenset(
        {
            "DependencyTimeoutException",
            "InternalFailure",
            "KMSInternalException",
            "KeyUnavailableException",
            "PriorRequestNotComplete",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "ServiceUnavailable",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
        }
    )

    def __init__(self, place: AwsKmsWrapping) -> None:
        session = _refusing(lambda: open_session(place))
        self._place = place
        self._url = place.endpoint or f"https://{host_of('kms', place.region_name)}"
        if place.ambient and place.endpoint is None:
            self._url = _refusing(lambda: configured_endpoint(session, "kms", place.region_name))
            problem = kms_endpoint_problem(self._url)
            if problem is not None:
                message = f"the endpoint in this machine's configuration for AWS: {problem}"
                raise ConfigError(message)
        signer = SigV4Signer(lambda: _refusing(session.get_credentials), lambda _: place.region_name, "kms")
        super().__init__(HttpClient(_AGENT), signer)

    def error_code(self, status: int, headers: Headers, body: bytes) -> str:  # noqa: ARG002
        """Return the code in an error response: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html."""
        try:
            code = json.loads(body)["__type"]
        except (ValueError, TypeError, LookupError, RecursionError):
            code = headers.get("X-Amzn-Errortype", "")
        # It may have a namespace, as in com.amazonaws.kms#NotFoundException, and be followed by a colon and a URL.
        return code.partition(":")[0].rpartition("#")[2] if isinstance(code, str) else ""

    def decrypt(self, wrapped: bytes, context: Mapping[str, str] | None = None) -> SecretKey:
        """Return a wrapped key. Raises as `KeySource.unwrap` does.

        Args:
            wrapped: the wrapped key.
            context: the encryption context; None for the document's.
        """
        reply = self._ask("Decrypt", "unwrap a key with", Hidden({"CiphertextBlob": _base64(wrapped)}), context)
        self._arn_in(reply)
        return self.key_of(reply.reveal().get("Plaintext"), self._place.shown)

    def encrypt(self, key: SecretKey, context: Mapping[str, str] | None = None) -> tuple[str, bytes]:
        """Return the ARN of the KMS key, and a key that it has wrapped. Raises as `KeySource.wrap` does.

        Args:
            key: the key to wrap.
            context: as for `decrypt`.
        """
        reply = self._ask("Encrypt", "wrap a key with", Hidden({"Plaintext": _base64(key.reveal())}), context)
        arn, wrapped = self._arn_in(reply), b""
        with contextlib.suppress(TypeError, ValueError):
            wrapped = base64.b64decode(reply.reveal().get("CiphertextBlob"), validate=True)
        if not wrapped:
            raise self.nonsense(self._place.shown)
        return arn, wrapped

    def _ask(self, operation: str, verb: str, members: Hidden, context: Mapping[str, str] | None) -> Hidden:
        parts = urlsplit(self._url)
        request = Request(
            "POST",
            Origin.of(f"{parts.scheme}://{parts.netloc}"),
            SecretText(f"{parts.path.rstrip('/')}/"),
            {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"TrentService.{operation}"},
        )
        # KMS tells by the wrapped key which of its keys to use, unless the request says which.
        bound = dict(self._place.context if context is None else context)
        common = {"KeyId": self._place.key_id, "EncryptionContext": bound}
        return self.ask(request, self._place.shown, verb, Hidden({**common, **members.reveal()}))

    def _arn_in(self, reply: Hidden) -> str:
        """Return the ARN of the key that KMS has used; it is the named one."""
        arn, named = reply.reveal().get("KeyId"), self._place.key_id
        if isinstance(arn, str) and ":key/" in arn and region_in(arn) == self._place.region_name:
            by_alias = named.rpartition(":")[2].startswith("alias/")
            if by_alias or named in (arn, arn.partition("/")[2]):
                return arn
        raise self.nonsense(self._place.shown)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _refusing(call: Callable[[], Any]) -> Any:
    """Return the result of `call`, which reads the machine's configuration."""
    try:
        return from_machine(call)
    except AccessDenied as error:
        problem = str(error)
    message = f"AWS KMS cannot be asked: {problem}"
    raise KeyRefused(message)
