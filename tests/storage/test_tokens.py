"""Bearer tokens: how long one is used, and when a new one is had."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from connectors.errors import AccessDenied
from connectors.secrets import SecretText
from connectors.storage import BearerSigner, Origin, Request, Tokens, token_of

REQUEST = Request("GET", Origin.of("https://store.example"), SecretText("/a"), {"Range": "bytes=0-1"})


class Counted(Tokens):
    """Issues tokens that end at a time, and counts them."""

    def __init__(self, ends: float) -> None:
        super().__init__("the test")
        self.ends = ends
        self.issued = 0

    def log_in(self) -> tuple[SecretText, float]:
        self.issued += 1
        return SecretText(f"hush-{self.issued}"), self.ends


def test_token_is_used_until_it_is_about_to_expire(monkeypatch: pytest.MonkeyPatch) -> None:
    start = now = time.time()
    monkeypatch.setattr("connectors.storage.tokens.time", SimpleNamespace(time=lambda: now))
    lasting, short, expired = Counted(start + 3600), Counted(start + 60), Counted(start - 1)
    used = []
    for later in (0, 44, 46, 3299, 3301):
        now = start + later
        used.append([int(one.token().reveal().removeprefix("hush-")) for one in (lasting, short, expired)])
    assert used == [[1, 1, 1], [1, 1, 2], [1, 2, 3], [1, 3, 4], [2, 4, 5]]


def test_threads_share_a_token() -> None:
    tokens, start = Counted(time.time() + 3600), threading.Barrier(8)

    def ask(_: int) -> str:
        start.wait()
        return tokens.token().reveal()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"hush-1"}


def test_threads_that_waited_for_a_login_share_its_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, inside, done = Counted(time.time() + 3600), threading.Event(), threading.Event()
    attempts: list[int] = []
    arrived = threading.Semaphore(0)

    def getpid() -> int:  # asked just before the lock is waited for
        arrived.release()
        return os.getpid()

    monkeypatch.setattr("connectors.storage.tokens.os", SimpleNamespace(getpid=getpid))

    def fail() -> AccessDenied:
        attempts.append(1)
        inside.set()
        done.wait()
        return AccessDenied(f"the login server refuses, {len(attempts)}")

    tokens.log_in = fail  # type: ignore[assignment,method-assign]
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(tokens.token)
        inside.wait()
        waiting = [pool.submit(tokens.token) for _ in range(7)]
        for _ in range(8):
            arrived.acquire()
        done.set()
        assert {str(one.exception()) for one in [first, *waiting]} == {"the login server refuses, 1"}
    with pytest.raises(AccessDenied, match="refuses, 2"):
        tokens.token()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_child_does_not_wait_for_a_lock_of_its_parent() -> None:
    tokens, inside, done = Counted(time.time() + 3600), threading.Event(), threading.Event()

    def slow() -> tuple[SecretText, float]:
        inside.set()
        done.wait()
        return SecretText("hush"), time.time() + 3600

    tokens.log_in = slow  # type: ignore[method-assign]
    thread = threading.Thread(target=tokens.token)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        code = 1
        try:
            tokens.log_in = lambda: (SecretText("own"), time.time() + 3600)  # type: ignore[method-assign]
            code = 0 if tokens.token().reveal() == "own" else 2
        finally:
            os._exit(code)
    done.set()
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_refused_token_is_replaced_if_another_can_be_had() -> None:
    signer = BearerSigner(Counted(time.time() + 3600))
    assert signer.sign(REQUEST).headers == {"Range": "bytes=0-1", "Authorization": "Bearer hush-1"}
    assert (signer.renewable, signer.renew()) == (True, True)
    assert signer.sign(REQUEST).headers["Authorization"] == "Bearer hush-2"


def test_only_token_is_not_renewed() -> None:
    signer = BearerSigner(SecretText("hush"))
    assert signer.sign(REQUEST).headers["Authorization"] == "Bearer hush"
    assert (signer.renewable, signer.renew()) == (False, False)
    assert "hush" not in f"{signer!r} {vars(signer)}"


def test_failure_to_log_in_is_raised_and_not_held() -> None:
    tokens = Counted(time.time() + 3600)
    issue = tokens.log_in
    tokens.log_in = lambda: AccessDenied("no token")  # type: ignore[assignment, method-assign, return-value]
    with pytest.raises(AccessDenied, match="no token"):
        tokens.token()
    tokens.log_in = issue  # type: ignore[method-assign]
    assert tokens.token().reveal() == "hush-1"


@pytest.mark.parametrize("text", ["", "a b", "a\r\nX-Evil: 1", "tökén", None, ["a"], b"a", "a" * 65_537])
def test_text_that_no_header_can_hold_is_no_token(text: object) -> None:
    assert token_of(text) is None


def test_token_is_hidden() -> None:
    found = token_of("hush.1~+/=")
    assert found is not None
    assert (found.reveal(), "hush" in repr(found)) == ("hush.1~+/=", False)
