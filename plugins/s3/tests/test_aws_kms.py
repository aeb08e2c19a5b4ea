"""The key source aws-kms: its contract with moto's KMS, which checks signatures and permissions.

moto ignores the member Recipient of a request, so nothing here is about attested decryption.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from typing import Any

import pytest
from kms_server import REGION, KmsAccount, kms_account

from connectors.errors import ConfigError, KeyRefused
from connectors.keys import forget, reference, resolve, source_of, wrapping
from connectors.secrets import SecretKey
from connectors.testing import KeyService, KeySourceContract
from connectors_s3.kms_server import KmsServer

CONTEXT = {"dataset": "conditions", "clinic": "Süd"}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let retries follow at once."""
    monkeypatch.setattr(KmsServer, "first_pause", 0.001)


@pytest.fixture
def account() -> Iterator[KmsAccount]:
    with kms_account() as account:
        yield account


class MotoKms(KeyService):
    """moto's KMS, with an access key, or with temporary keys."""

    source = "aws-kms"

    def __init__(self, account: KmsAccount, keys: dict[str, str]) -> None:
        self.account = account
        self.keys = keys
        self.arn = account.create_key("alias/clinic")
        self.shown = ("AWS KMS", self.arn)

    @property
    def requests(self) -> int:  # type: ignore[override]
        return self.account.requests

    def secrets(self) -> list[str]:
        return [self.keys[name] for name in ("secret_access_key", "session_token") if name in self.keys]

    def wrapping(self) -> dict[str, Any]:
        members = {"key_id": self.arn, "context": CONTEXT, "endpoint": self.account.endpoint}
        return {"source": "aws-kms", **members, **self.keys}

    def object_wrapping(self) -> dict[str, Any]:
        return {**self.wrapping(), "context": {"dataset": "conditions"}}

    def hold_bytes(self, data: bytes) -> dict[str, Any] | None:
        if not data:
            return None  # KMS encrypts at least a byte
        wrapped = self.account.encrypt(self.arn, data, CONTEXT)
        return {**self.wrapping(), "wrapped": base64.b64encode(wrapped).decode()}

    def refuse(self) -> None:
        self.account.allow()

    def vanish(self) -> None:
        self.account.stop()


class TestAccessKey(KeySourceContract):
    @pytest.fixture
    def service(self, account: KmsAccount) -> KeyService:
        keys = {"access_key_id": account.access_key, "secret_access_key": account.secret_key}
        return MotoKms(account, keys)


class TestTemporaryKeys(KeySourceContract):
    @pytest.fixture
    def service(self, account: KmsAccount) -> KeyService:
        service = MotoKms(account, account.session())
        service.refuse = account.forget_role  # type: ignore[method-assign]
        return service


@pytest.fixture
def place(account: KmsAccount) -> dict[str, Any]:
    """What keys are wrapped by: a key with an alias."""
    keys = {"access_key_id": account.access_key, "secret_access_key": account.secret_key}
    return MotoKms(account, keys).wrapping()


def wrapped(place: dict[str, Any], key: SecretKey, **changes: Any) -> dict[str, Any]:
    return source_of("aws-kms").wrap(key, wrapping({**place, **changes}), None).document()


def asked(document: dict[str, Any]) -> SecretKey:
    found = reference(document)
    forget([found])
    return resolve(found)


@pytest.mark.parametrize("name", ["alias/clinic", "ID", "alias ARN"])
def test_reference_has_the_arn_of_a_key_that_is_named_otherwise(place: dict[str, Any], name: str) -> None:
    key, arn = SecretKey.generate(), place["key_id"]
    start, _, identity = arn.partition(":key/")
    named = {"ID": identity, "alias ARN": f"{start}:alias/clinic"}.get(name, name)
    document = wrapped(place, key, key_id=named, region=REGION)
    assert document["key_id"] == arn
    assert asked(document) == key
    assert asked({**document, "key_id": named}) == key


def test_alias_that_leads_to_another_key_later_does_not_matter(account: KmsAccount, place: dict[str, Any]) -> None:
    key = SecretKey.generate()
    document = wrapped(place, key, key_id="alias/clinic", region=REGION)
    account.point_alias("alias/clinic", account.create_key())
    assert asked(document) == key
    with pytest.raises(KeyRefused, match="alias/clinic in eu-west-1"):
        asked({**document, "key_id": "alias/clinic"})


@pytest.mark.parametrize("context", [{"dataset": "wards"}, {**CONTEXT, "more": ""}, {"Dataset": "conditions"}])
def test_another_context_is_refused(place: dict[str, Any], context: dict[str, str]) -> None:
    document = wrapped(place, SecretKey.generate())
    with pytest.raises(KeyRefused, match="was wrapped with another context"):
        asked({**document, "context": context})


def test_order_of_the_context_does_not_matter(place: dict[str, Any]) -> None:
    key = SecretKey.generate()
    document = wrapped(place, key)
    assert asked({**document, "context": dict(reversed(CONTEXT.items()))}) == key


def test_key_that_another_kms_key_wraps_is_refused(account: KmsAccount, place: dict[str, Any]) -> None:
    document, other = wrapped(place, SecretKey.generate()), account.create_key()
    with pytest.raises(KeyRefused, match=rf"AWS KMS refuses to unwrap a key with {other} \(400 AccessDenied"):
        asked({**document, "key_id": other})


@pytest.mark.parametrize("member", ["access_key_id", "secret_access_key", "session_token"])
def test_wrong_credentials_are_refused(account: KmsAccount, place: dict[str, Any], member: str) -> None:
    temporary = {**place, **account.session()}
    document = wrapped(temporary, SecretKey.generate())
    wrong = document[member][::-1].replace("/", "x")
    with pytest.raises(KeyRefused, match="403") as caught:
        asked({**document, member: wrong})
    assert wrong not in str(caught.value)


def test_each_permission_is_needed(account: KmsAccount, place: dict[str, Any]) -> None:
    key = SecretKey.generate()
    account.allow("kms:Encrypt")
    document = wrapped(place, key)
    with pytest.raises(KeyRefused, match="refuses to unwrap a key with arn:aws:kms:"):
        asked(document)
    account.allow("kms:Decrypt")
    assert asked(document) == key
    with pytest.raises(KeyRefused, match="refuses to wrap a key with arn:aws:kms:"):
        wrapped(place, key)


def test_missing_key_is_refused(place: dict[str, Any]) -> None:
    missing = place["key_id"][:-4] + "0000"
    with pytest.raises(KeyRefused, match="no such key or alias in this account and region"):
        wrapped(place, SecretKey.generate(), key_id=missing)


class TestAmbient:
    """Credentials of the machine are used if the document says so, and only then."""

    @pytest.fixture(autouse=True)
    def no_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have no configuration of AWS but what a test sets."""
        for name in [one for one in os.environ if one.startswith("AWS_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    @pytest.fixture
    def ambient(self, place: dict[str, Any]) -> dict[str, Any]:
        """The document without credentials."""
        kept = {name: value for name, value in place.items() if name not in ("access_key_id", "secret_access_key")}
        return {**kept, "ambient": True}

    def test_credentials_of_the_machine_are_used(
        self, ambient: dict[str, Any], account: KmsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", account.endpoint)
        with pytest.raises(KeyRefused, match="ambient, but this machine provides none that work"):
            wrapped(ambient, SecretKey.generate())
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.secret_key)
        key = SecretKey.generate()
        document = wrapped(ambient, key)
        assert not {"access_key_id", "secret_access_key", "session_token"} & set(document)
        assert asked(document) == key

    def test_endpoint_of_the_machine_is_used(
        self, ambient: dict[str, Any], account: KmsAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.secret_key)
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", account.endpoint)
        key = SecretKey.generate()
        assert asked(wrapped(ambient, key, endpoint=None)) == key
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://kms.example.org")
        with pytest.raises(ConfigError, match=r"this machine's configuration for AWS: http:// is not encrypted"):
            wrapped(ambient, key, endpoint=None)

    @pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL"])
    def test_endpoint_of_the_document_is_that_of_the_machine(
        self, ambient: dict[str, Any], account: KmsAccount, monkeypatch: pytest.MonkeyPatch, variable: str
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.secret_key)
        monkeypatch.setenv(variable, account.endpoint)
        key = SecretKey.generate()
        assert asked(wrapped(ambient, key, endpoint=f"{account.endpoint}/")) == key

    @pytest.mark.parametrize("configured", [None, "http://127.0.0.1:9"])
    @pytest.mark.parametrize(
        "named",
        [
            None,
            "https://kms.evil.example",
            "https://kms.eu-west-1.evil.example",
            "https://kms.eu-west-2.amazonaws.com",
            "https://a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "https://vpce-0a1-b2.vpce-svc-0c3.eu-west-1.vpce.amazonaws.com",
            "https://kms.eu-west-1.amazonaws.com:8443",
        ],
    )
    def test_identity_of_the_machine_signs_for_no_endpoint_of_the_document(
        self,
        ambient: dict[str, Any],
        account: KmsAccount,
        monkeypatch: pytest.MonkeyPatch,
        configured: str | None,
        named: str | None,
    ) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", account.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", account.secret_key)
        if configured is not None:
            monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", configured)
        before = account.requests
        with pytest.raises(ConfigError, match="leave out endpoint, or set AWS_ENDPOINT_URL_KMS to http"):
            wrapped(ambient, SecretKey.generate(), endpoint=named or account.endpoint)
        assert account.requests == before

    def test_missing_profile_is_an_error_that_does_not_name_it(self, ambient: dict[str, Any]) -> None:
        with pytest.raises(KeyRefused, match="the profile in the credentials does not exist on this machine") as caught:
            wrapped(ambient, SecretKey.generate(), profile="staging")
        assert "staging" not in str(caught.value)
        assert caught.value.__context__ is None

    def test_machine_is_ignored_without_ambient(self, place: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKSTRANGER")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stranger")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "stranger")
        monkeypatch.setenv("AWS_PROFILE", "stranger")
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "mars-east-1")
        key = SecretKey.generate()
        assert asked(wrapped(place, key)) == key
