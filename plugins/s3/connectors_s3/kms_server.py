"""The API of AWS KMS: the operations Encrypt and Decrypt of the AWS KMS API Reference, as AWS JSON 1.1."""

from __future__ import annotations

import base64
import importlib.metadata
import json
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from connectors.errors import AccessDenied, ConfigError, KeyRefused
from connectors.secrets import Hidden, SecretText
from connectors.storage import HttpClient, KeyServer, Origin, Request
from connectors_s3.kms_reference import is_kms, kms_endpoint_problem, region_in
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
        ConfigError: this machine's configuration names an invalid endpoint; or the credentials are ambient, and only
            the document names the endpoint.
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
        if place.ambient and not (place.endpoint and is_kms(place.endpoint, place.region_name)):
            self._url = _of_machine(
                _refusing(lambda: configured_endpoint(session, "kms", place.region_name)), place.endpoint
            )
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
        wrapped = self.bytes_of(Hidden(reply.reveal().get("CiphertextBlob")), self._place.shown)
        return self._arn_in(reply), bytes(wrapped.reveal())

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
        """Return the ARN of the key that KMS has used; it is the named one.

        An alias leads to a key of its own account and region. KMS alone knows to which one of them.
        """
        arn, named = reply.reveal().get("KeyId"), self._place.key_id
        if isinstance(arn, str) and ":key/" in arn and region_in(arn) == self._place.region_name:
            owner, is_alias, _ = named.rpartition("alias/")
            if is_alias and arn.startswith(owner):
                return arn
            if named in (arn, arn.partition("/")[2]):
                return arn
        raise self.nonsense(self._place.shown)


def _of_machine(configured: str, named: str | None) -> str:
    """Return the endpoint in this machine's configuration.

    Args:
        configured: the endpoint.
        named: the one that the document names, which must be the same: a document must not have the machine's identity
            sign requests for a server of its choice.
    """
    problem = kms_endpoint_problem(configured)
    if problem is not None:
        message = f"the endpoint in this machine's configuration for AWS: {problem}"
        raise ConfigError(message)
    if named is not None and _place_of(named) != _place_of(configured):
        message = (
            "the identity of this machine signs requests only for AWS KMS or the endpoint that this machine names: "
            f"leave out endpoint, or set AWS_ENDPOINT_URL_KMS to {named} where the application is set up"
        )
        raise ConfigError(message)
    return configured


def _place_of(url: str) -> tuple[Origin, str]:
    """Return what two spellings of a URL have in common."""
    return Origin.of(url), urlsplit(url).path.rstrip("/")


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
