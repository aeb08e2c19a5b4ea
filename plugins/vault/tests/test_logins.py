"""Logins, against OpenBao: a token is used until it expires or is refused, and no file goes to a stranger's Vault."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from patience import until
from vault_server import Pod

from connectors.errors import ConfigError, KeyRefused
from connectors.keys import reference, source_of, wrapping
from connectors.secrets import SecretKey

KEY = SecretKey("a5" * 32)


def unwrapped(document: dict[str, Any], root: Path | None = None) -> SecretKey:
    return source_of("vault").unwrap(reference(document), str(root) if root else None)


def logins(clinic: Any) -> int:
    return sum("/login" in request.target for request in clinic.seen)


def test_request_is_marked_and_has_the_token_in_a_header(clinic: Any) -> None:
    assert unwrapped(clinic.hold(KEY)) == KEY
    assert {request.headers["x-vault-token"] for request in clinic.seen} == {clinic.login["token"]}
    assert {request.headers["x-vault-request"] for request in clinic.seen} == {"true"}
    assert all("x-vault-namespace" not in request.headers for request in clinic.seen)


def test_namespace_and_path_of_the_address_are_sent(clinic: Any) -> None:
    document = {**clinic.hold(KEY), "namespace": "clinics/north", "address": f"{clinic.url}/behind/a/proxy"}
    with pytest.raises(KeyRefused, match="nothing is mounted at that path; check the mount and the namespace"):
        unwrapped(document)
    assert clinic.seen[-1].headers["x-vault-namespace"] == "clinics/north"
    assert clinic.seen[-1].target == f"/behind/a/proxy/v1/transit/decrypt/{clinic.key}"


def test_key_in_a_namespace_is_used(clinic: Any) -> None:
    clinic.bao.ask("POST", f"sys/namespaces/{clinic.key}", {})
    clinic.bao.ask("POST", "sys/mounts/team/transit", {"type": "transit"}, namespace=clinic.key)
    clinic.bao.ask("POST", "team/transit/keys/north", {}, namespace=clinic.key)
    place = {"namespace": clinic.key, "mount": "team/transit", "key": "north", "token": clinic.bao.root}
    made = source_of("vault").wrap(KEY, wrapping({**clinic.wrapping(), **place}), None)
    assert unwrapped(made.document()) == KEY
    with pytest.raises(KeyRefused):
        unwrapped({**made.document(), "namespace": f"{clinic.key}/other"})


def test_keys_share_a_login(clinic: Any) -> None:
    clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1h")}
    documents = [clinic.hold(SecretKey.generate()) for _ in range(3)]
    for document in documents:
        unwrapped(document)
    assert logins(clinic) == 1


def test_revoked_token_is_replaced(clinic: Any) -> None:
    clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1h")}
    document = clinic.hold(KEY)
    clinic.bao.ask("POST", "auth/token/revoke", {"token": clinic.issued[-1]})
    assert unwrapped(document) == KEY
    assert logins(clinic) == 2


def test_token_that_serves_once_is_replaced(clinic: Any) -> None:
    clinic.login = {"approle": clinic.log_in_by_role(token_num_uses=1)}
    document = clinic.hold(KEY)
    assert unwrapped(document) == KEY
    assert unwrapped(document) == KEY
    assert logins(clinic) == 3


def test_expired_token_is_replaced(clinic: Any) -> None:
    clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1s")}
    document = clinic.hold(KEY)

    def replaced() -> bool:
        assert unwrapped(document) == KEY
        return logins(clinic) > 1

    until(replaced, "the token expires")


def test_withdrawn_secret_id_is_refused(clinic: Any) -> None:
    role = clinic.log_in_by_role(token_ttl="1h")
    clinic.login = {"approle": role}
    document = clinic.hold(KEY)
    place = f"auth/approle/role/{clinic.key}/secret-id/destroy"
    clinic.bao.ask("POST", place, {"secret_id": role["secret_id"]})
    clinic.bao.ask("POST", "auth/token/revoke", {"token": clinic.issued[-1]})
    with pytest.raises(KeyRefused, match=r"refuses to log in by auth/approle at .*was withdrawn; get it anew"):
        unwrapped(document)


@pytest.fixture
def ours(clinic: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the machine name the Vault as its own."""
    monkeypatch.setenv("VAULT_ADDR", clinic.url)


@pytest.mark.usefixtures("ours")
def test_token_file_is_read_each_time(clinic: Any, private: Callable[[str, str], str]) -> None:
    path = private("token", "of an agent that has just begun")
    document = {**clinic.hold(KEY), "token_file": path}
    token = document.pop("token")
    with pytest.raises(ConfigError, match="holds no token, which is a single line of printable characters"):
        unwrapped(document)
    private("token", f"{token}\n")
    assert unwrapped(document) == KEY
    clinic.bao.ask("POST", "auth/token/revoke", {"token": token})
    with pytest.raises(KeyRefused, match="the token is invalid or has expired"):
        unwrapped(document)
    private("token", clinic.new_token())
    assert unwrapped(document) == KEY


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize(
    "content", [KEY.reveal().hex(), KEY.reveal().hex().upper() + "\n", '{"encryption":{"key":"a5"}}']
)
@pytest.mark.parametrize("member", ["token_file", "jwt_file"])
def test_key_and_document_are_not_sent_as_tokens(
    clinic: Any, private: Callable[[str, str], str], member: str, content: str
) -> None:
    document, path = clinic.hold(KEY), private("file", content)
    del document["token"]
    login = {"token_file": path} if member == "token_file" else {"kubernetes": {"role": "r", "jwt_file": path}}
    before = len(clinic.seen)
    with pytest.raises(ConfigError, match="holds no token, which is .* neither a key nor a document") as caught:
        unwrapped({**document, **login})
    assert len(clinic.seen) == before
    assert content not in str(caught.value)


class TestFiles:
    """In an app config, documents name files below its root, or absolute paths; all go to the machine's Vault only."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        (tmp_path / "config").mkdir()
        return tmp_path / "config"

    @pytest.fixture
    def document(self, clinic: Any, private: Callable[[str, str], str]) -> dict[str, Any]:
        """A reference with a token of the machine: outside the app config."""
        document = clinic.hold(KEY)
        path = private("token", document.pop("token"))
        return {**document, "token_file": path}

    @pytest.mark.usefixtures("ours")
    def test_token_below_the_root_is_used(self, document: dict[str, Any], root: Path) -> None:
        Path(document["token_file"]).rename(root / "token")
        assert unwrapped({**document, "token_file": "token"}, root) == KEY

    @pytest.mark.parametrize("place", ["below the root", "outside", "without a root"])
    @pytest.mark.parametrize(
        "named", [None, "", "https://vault.clinic.example:8200", "{url}/other", "http://127.0.0.1", "127.0.0.1"]
    )
    def test_token_is_not_sent_to_an_address_of_the_document(
        self,
        clinic: Any,
        document: dict[str, Any],
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        place: str,
        named: str | None,
    ) -> None:
        monkeypatch.delenv("BAO_ADDR", raising=False)
        monkeypatch.delenv("VAULT_ADDR", raising=False)
        if named is not None:
            monkeypatch.setenv("VAULT_ADDR", named.format(url=clinic.url))
        if place == "below the root":
            Path(document["token_file"]).rename(root / "token")
            document["token_file"] = "token"
        before = len(clinic.seen)
        with pytest.raises(
            ConfigError, match="is sent only to the Vault that this machine itself names: set VAULT_ADDR"
        ):
            unwrapped(document, None if place == "without a root" else root)
        assert len(clinic.seen) == before

    @pytest.mark.parametrize(("variable", "named"), [("VAULT_ADDR", "{url}/"), ("BAO_ADDR", "HTTP{rest}")])
    @pytest.mark.parametrize("is_rooted", [True, False])
    def test_token_outside_is_sent_to_the_machine_s_vault(
        self,
        clinic: Any,
        document: dict[str, Any],
        root: Path,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
        named: str,
        is_rooted: bool,
    ) -> None:
        monkeypatch.setenv(variable, named.format(url=clinic.url, rest=clinic.url.removeprefix("http")))
        assert unwrapped(document, root if is_rooted else None) == KEY

    @pytest.mark.usefixtures("ours")
    def test_link_out_of_the_root_is_refused(self, document: dict[str, Any], root: Path) -> None:
        (root / "token").symlink_to(document["token_file"])
        with pytest.raises(ConfigError, match="leads out of the app config's root"):
            unwrapped({**document, "token_file": "token"}, root)

    def test_pod_logs_in_to_the_machine_s_vault_only(
        self, clinic: Any, pod: Pod, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        document = clinic.hold(KEY)
        del document["token"]
        document["kubernetes"] = clinic.log_in_by_pod(pod, tmp_path / "jwt")
        monkeypatch.delenv("VAULT_ADDR", raising=False)
        for place in (root, None):
            with pytest.raises(ConfigError, match="set VAULT_ADDR"):
                unwrapped(document, place)
        monkeypatch.setenv("VAULT_ADDR", clinic.url)
        for place in (root, None):
            assert unwrapped(document, place) == KEY


@pytest.mark.usefixtures("ours")
def test_pod_of_another_account_is_refused(clinic: Any, pod: Pod, private: Callable[[str, str], str]) -> None:
    login = clinic.log_in_by_pod(pod, Path(private("jwt", "")))
    login["jwt_file"] = private("jwt", pod.jwt[:-8] + "AAAAAAAA")
    with pytest.raises(KeyRefused, match="refuses to log in by auth/kubernetes"):
        source_of("vault").wrap(KEY, wrapping({**clinic.wrapping(), "token": None, "kubernetes": login}), None)
