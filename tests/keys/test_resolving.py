"""References are resolved once in a process, and threads share the answer, also if it is an error."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import pytest

from connectors.errors import KeyUnavailable
from connectors.keys import KeyReference, KeySource, forget, resolve
from connectors.secrets import SecretKey
from connectors.system.locks import ForkSafeLock

KEY = SecretKey("11" * 32)


class SlowReference(KeyReference):
    source: Literal["slow"] = "slow"
    number: int


class Slow(KeySource):
    """A source that answers when it is told to, and counts who asks."""

    name = "slow"
    summary = "a slow source"
    Reference = SlowReference

    def __init__(self) -> None:
        self.asked = 0
        self.inside, self.done = threading.Event(), threading.Event()
        self.error: Exception | None = None

    def unwrap(self, reference: Any, root: str | None) -> SecretKey:
        self.asked += 1
        self.inside.set()
        self.done.wait()
        if self.error is not None:
            raise self.error
        return KEY


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr("connectors.keys.resolving.source_of", lambda _: slow)
    return slow


def ask_at_once(source: Slow, reference: KeyReference, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the outcomes of eight threads, of which seven wait for the first."""
    arrived = threading.Semaphore(0)

    class Lock(ForkSafeLock):
        """Counts the threads that are about to wait for it."""

        def __getattribute__(self, name: str) -> Any:
            if name == "current":
                arrived.release()
            return super().__getattribute__(name)

    monkeypatch.setattr("connectors.keys.resolving.ForkSafeLock", Lock)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(resolve, reference)
        source.inside.wait()
        others = [pool.submit(resolve, reference) for _ in range(7)]
        for _ in range(8):
            assert arrived.acquire(timeout=60)
        source.done.set()
        return [one.exception() or one.result() for one in [first, *others]]


def test_threads_share_a_key(source: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask_at_once(source, SlowReference(number=1), monkeypatch) == [KEY] * 8
    assert source.asked == 1


def test_threads_share_an_error_each_with_an_instance_of_its_own(source: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    source.error = KeyUnavailable("the source is down")
    errors = ask_at_once(source, SlowReference(number=2), monkeypatch)
    assert {str(error) for error in errors} == {"the source is down"}
    assert len(set(map(id, errors))) == 8
    assert source.asked == 1


def test_next_use_after_an_error_asks_again(source: Slow) -> None:
    source.done.set()
    source.error = KeyUnavailable("the source is down")
    reference = SlowReference(number=3)
    with pytest.raises(KeyUnavailable):
        resolve(reference)
    source.error = None
    assert resolve(reference) == resolve(SlowReference(number=3)) == KEY
    assert source.asked == 2
    forget([reference])
    resolve(reference)
    assert source.asked == 3


def test_references_that_differ_are_resolved_each(source: Slow) -> None:
    source.done.set()
    resolve(SlowReference(number=4))
    resolve(SlowReference(number=5))
    resolve(SlowReference(number=5), "/another/root")
    assert source.asked == 3


def test_key_itself_needs_no_source(source: Slow) -> None:
    assert resolve(KEY) is KEY
    assert source.asked == 0
