"""OpenBao, and one data owner's corner of it: a transit key, a policy, and something to log in with."""

from __future__ import annotations

import base64
import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import vault_server
from hostile import Answer, Request, hostile_server
from institution import certificates
from vault_server import Bao, Pod

from connectors.storage import RetryPolicy
from connectors.testing import KeyService

_names = itertools.count()


@pytest.fixture(scope="session")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bao]:
    with vault_server.running(tmp_path_factory.mktemp("openbao")) as bao:
        yield bao


@pytest.fixture(scope="session")
def pod(bao: Bao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    authority = certificates(tmp_path_factory.mktemp("kubernetes"), "localhost").authority.read_text()
    with vault_server.reviewing() as pod:
        bao.ask("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        # The authority is demanded, and not used: the API is on loopback, without TLS.
        config = {"kubernetes_host": pod.url, "kubernetes_ca_cert": authority, "token_reviewer_jwt": pod.jwt}
        bao.ask("POST", "auth/kubernetes/config", config)
        yield pod


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry without a pause."""
    monkeypatch.setattr(RetryPolicy, "first_pause", 0.001)


class Clinic(KeyService):
    """A data owner's key in OpenBao, behind a gateway that counts requests and can be stopped.

    Attributes:
        bao: the server.
        url: the gateway's URL.
        key: the name of the key.
        seen: the requests.
        issued: the tokens that logins returned.
        answering: what the gateway does with a request in the place of passing it on, if it returns anything.
    """

    source = "vault"

    def __init__(self, bao: Bao, stack: ExitStack, **options: Any) -> None:
        self.bao = bao
        self.key = f"clinic-{next(_names)}"
        self.issued: list[str] = []
        self.answering: Callable[[Request], Answer | None] = lambda _: None
        self._stack = stack
        self.url, self.seen = stack.enter_context(hostile_server(self._answer))
        self.shown = ("Vault", f"transit/{self.key}", self.url)
        bao.ask("POST", f"transit/keys/{self.key}", options)
        rules = [f'path "transit/{verb}/{self.key}" {{capabilities = ["update"]}}' for verb in ("encrypt", "decrypt")]
        self.allow("\n".join(rules))
        self.login: dict[str, Any] = {"token": self.new_token()}

    def _answer(self, request: Request) -> Answer:
        answer = self.answering(request)
        if answer is not None:
            return answer
        status, body = self.bao.send(request)
        if "/login" in request.target and status == 200:
            self.issued.append(json.loads(body)["auth"]["client_token"])
        return Answer(status, {"Content-Type": "application/json"}, body)

    def allow(self, policy: str) -> None:
        """Set the policy of all tokens."""
        self.bao.ask("POST", f"sys/policies/acl/{self.key}", {"policy": policy})

    def new_token(self, **options: Any) -> str:
        members = {"policies": [self.key], "no_default_policy": True, "no_parent": True, **options}
        token: str = self.bao.ask("POST", "auth/token/create", members)["auth"]["client_token"]
        self.issued.append(token)
        return token

    def log_in_by_role(self, **options: Any) -> dict[str, str]:
        """Make an AppRole; return the document's member."""
        role = f"auth/approle/role/{self.key}"
        self.bao.ask("POST", role, {"token_policies": [self.key], "token_no_default_policy": True, **options})
        secret_id = self.bao.ask("POST", f"{role}/secret-id", {})["data"]["secret_id"]
        self.issued.append(secret_id)
        return {"role_id": self.bao.ask("GET", f"{role}/role-id")["data"]["role_id"], "secret_id": secret_id}

    def log_in_by_pod(self, pod: Pod, path: Path) -> dict[str, str]:
        """Make a role of the pod's service account, and its file; return the document's member."""
        account = {"bound_service_account_names": ["reader"], "bound_service_account_namespaces": ["clinic"]}
        self.bao.ask("POST", f"auth/kubernetes/role/{self.key}", {**account, "token_policies": [self.key]})
        path.write_text(pod.jwt)
        path.chmod(0o644)  # as Kubernetes makes it
        self.issued.append(pod.jwt)
        return {"role": self.key, "jwt_file": str(path)}

    @property
    def requests(self) -> int:
        return len(self.seen)

    def secrets(self) -> list[str]:
        return self.issued

    def wrapping(self) -> dict[str, Any]:
        return {"source": "vault", "address": self.url, "key": self.key, **self.login}

    def hold_bytes(self, data: bytes) -> dict[str, Any] | None:
        plain = {"plaintext": base64.b64encode(data).decode()}
        wrapped = self.bao.ask("POST", f"transit/encrypt/{self.key}", plain)["data"]["ciphertext"]
        return {**self.wrapping(), "wrapped": wrapped}

    def refuse(self) -> None:
        self.allow(f'path "transit/keys/{self.key}" {{capabilities = ["read"]}}')

    def vanish(self) -> None:
        self._stack.close()


@pytest.fixture
def clinic(bao: Bao) -> Iterator[Clinic]:
    """A data owner who logs in with a token."""
    with ExitStack() as stack:
        yield Clinic(bao, stack)


@pytest.fixture
def derived(bao: Bao) -> Iterator[Clinic]:
    """A data owner whose key is derived."""
    with ExitStack() as stack:
        yield Clinic(bao, stack, derived=True)


@pytest.fixture
def private(tmp_path: Path) -> Callable[[str, str], str]:
    """Write a private file; return its path."""

    def write(name: str, text: str) -> str:
        path = tmp_path / name
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        return str(path)

    return write
