"""The contract of commits: a kill leaves a whole object, no moment shows half of one, and one of two creators wins."""

from __future__ import annotations

import multiprocessing
import sys
import time
import traceback
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

import pytest

from connectors.errors import ConnectorError, NotSupported
from connectors.testing.tools import MIB, Contract, can_create, can_replace, dataset, lay_down, plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import connectors
    from connectors.testing.store import Store

__all__ = ["CommitContract"]

KILLS = 3
ROUNDS = 40
LOCKED = 1.0
"""Seconds after which a process that does not end is taken to wait for a lock of the paused one."""


class Writer:
    """Another process, which writes an object up to its commit, and commits it when it is told to."""

    def __init__(self) -> None:
        processes = multiprocessing.get_context("spawn")
        self._ended: list[str] = []
        self._pipe, there = processes.Pipe()
        self._process = processes.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._pipe.close()

    def write(self, given: connectors.Dataset, mode: str, size: int, seed: int = 0) -> None:
        """Write all of an object, and return before its commit."""
        self._pipe.send((given, mode, size, seed))
        assert self.outcome() == "written"

    def commit(self, pause: float = 0.0) -> None:
        """Start the commit.

        Args:
            pause: the part of its steps, by those of the commit before, after which it pauses; 0.0 is not at all.
        """
        self._pipe.send(pause)

    def has_paused(self) -> bool:
        """Wait until the commit pauses or ends, and return whether it pauses."""
        answer = self.outcome()
        if answer != "paused":
            self._ended.append(answer)
        return answer == "paused"

    def resume(self) -> None:
        """End the pause."""
        self._pipe.send(None)

    def ends_within(self, seconds: float) -> bool:
        """Wait for the end of the commit, and return whether it has come."""
        return self._pipe.poll(seconds)

    @property
    def has_ended(self) -> bool:
        """Whether the commit has ended."""
        return self._pipe.poll()

    def outcome(self) -> str:
        """Return what the process reports: of a commit, the name of its error, or "committed"."""
        if self._ended:
            return self._ended.pop()
        assert self._pipe.poll(120), "the other process did not answer within two minutes"
        answer: str = self._pipe.recv()
        return answer

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.join()


def _serve(pipe: Any) -> None:
    steps = 0
    while True:
        given, mode, size, seed = pipe.recv()
        try:
            file = given.open(mode)
            file.write(plain(size, seed))
            pipe.send("written")
            steps = _paused(file.close, int(steps * pipe.recv()), pipe)
        except ConnectorError as error:
            pipe.send(type(error).__name__)
        except BaseException:  # noqa: BLE001 - the parent reports it
            pipe.send(traceback.format_exc())
        else:
            pipe.send("committed")


def _paused(work: Callable[[], object], where: int, pipe: Any) -> int:
    """Do `work`, pause after its step `where` until told to go on, and return the number of its steps.

    A step is what Python tells a profiler: a call or a return. Steps of other threads are not counted.
    """
    steps = 0

    def step(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == where:
            sys.setprofile(None)
            pipe.send("paused")
            pipe.recv()
            sys.setprofile(step)

    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(None)
    return steps


class CommitContract(Contract):
    """The contract of commits, which the storage has to keep while processes die and compete.

    A storage that cannot keep it declares that: see `connectors.storage.capabilities`. The SDK then refuses.
    """

    @pytest.mark.parametrize("size", [MIB, 20 * MIB])
    def test_process_killed_during_a_commit_leaves_a_whole_object(
        self, store: Store, name: str, tmp_path: Path, size: int
    ) -> None:
        if not can_replace(store.connection(name, write=True)):
            return
        whole = old, new = [b"what stood there", plain(size)]
        given = lay_down(tmp_path, store.connection(name, write=True), port="output", key=None)
        with ExitStack() as stack:
            watched, *killed = [stack.enter_context(Writer()) for _ in range(1 + KILLS)]
            store.put(name, old)
            watched.write(given, "wb", size)
            start = time.monotonic()
            watched.commit()
            while not watched.has_ended:
                assert store.get(name) in whole, "the commit showed an object that is neither the old nor the new one"
            lasted = time.monotonic() - start
            assert watched.outcome() == "committed"
            assert store.get(name) == new
            for number, writer in enumerate(killed, 1):
                store.put(name, old)
                writer.write(given, "wb", size)
                writer.commit()
                time.sleep(lasted * number / (KILLS + 1))
                writer.kill()
                assert store.get(name) in whole, "the killed process left neither the old object nor the new one"
        assert store.get(name) in whole, "a killed process replaced the object later, by half of one"

    def test_of_two_processes_that_create_an_object_one_wins(self, store: Store, name: str, tmp_path: Path) -> None:
        if not can_create(store.connection(name, write=True)):
            return
        # One of them stops in the middle of its commit, each time a little later, while the other commits.
        with Writer() as one, Writer() as other:
            for number in range(ROUNDS + 1):
                place = f"{name}/{number}"
                connection = store.connection(place, write=True)
                given = lay_down(tmp_path, connection, port="output", name=f"object-{number}", key=None)
                writers = [(one, MIB), (other, MIB + 1)]
                for seed, (writer, size) in enumerate(writers):
                    writer.write(given, "xb", size, seed)
                one.commit(pause=number / (ROUNDS + 1))  # the first counts the steps
                paused = one.has_paused()
                other.commit()
                if paused:
                    other.ends_within(LOCKED)
                    one.resume()
                outcomes = [writer.outcome() for writer, _ in writers]
                assert sorted(outcomes) == ["ObjectExists", "committed"]
                winner = outcomes.index("committed")
                assert store.get(place) == plain(writers[winner][1], winner), "the winner's object was replaced"

    def test_what_a_storage_declares_it_cannot_do_is_refused(self, store: Store, name: str) -> None:
        old, new = f"{name}/old", f"{name}/new"
        store.put(old, b"what stood there")
        if not can_replace(store.connection(old, write=True)):
            with pytest.raises(NotSupported, match="replaces objects in place"):
                dataset(store.connection(old, write=True)).write_bytes(b"other")
        if not can_create(store.connection(new, write=True)):
            with pytest.raises(NotSupported, match="cannot be created exclusively"):
                dataset(store.connection(new, write=True)).open("xb")
        assert store.get(old) == b"what stood there"
        assert store.get(new) is None
        assert store.unfinished() == []
