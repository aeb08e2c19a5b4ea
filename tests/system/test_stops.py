"""Stops: a signal that stops a program is never lost, whatever drops its exception, and does not interrupt the cleanup."""

from __future__ import annotations

import concurrent.futures
import ctypes
import gc
import os
import signal
import sys
import threading
import time
import weakref
from contextlib import suppress

import pytest
from patience import PATIENCE, until

from connectors.system import stops as module
from connectors.system.stops import Stopped, Stops


def stop(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    until(lambda: False, "the signal is handled")


class Dropping:
    def __del__(self) -> None:
        stop()


def in_a_destructor() -> None:
    Dropping()


def in_a_weakref_callback() -> None:
    target = threading.Event()
    _callback = weakref.ref(target, stop)
    del target


def in_a_callback_of_the_collector() -> None:
    gc.callbacks.append(stop)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(stop)


def in_a_callback_from_c() -> None:
    ctypes.CFUNCTYPE(None)(stop)()


def in_a_library_that_catches_everything() -> None:
    with suppress(BaseException):
        stop()


@pytest.mark.parametrize(
    "drop",
    [
        in_a_destructor,
        in_a_weakref_callback,
        in_a_callback_of_the_collector,
        in_a_callback_from_c,
        in_a_library_that_catches_everything,
    ],
)
def test_a_stop_that_is_dropped_is_raised_again(drop, monkeypatch):
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    dropped: list[bool] = []
    with pytest.raises(Stopped) as caught, Stops() as stops, stops.interrupting():
        drop()
        dropped.append(True)
        time.sleep(PATIENCE)
        dropped.append(False)
    assert caught.value.code == 128 + signal.SIGTERM
    assert dropped == [True]


def test_a_stop_that_is_dropped_again_and_again_is_still_raised(monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.01)
    times: list[int] = []
    with pytest.raises(Stopped), Stops() as stops, stops.interrupting():
        for time_ in range(5):
            with suppress(Stopped):
                if time_ == 0:
                    signal.raise_signal(signal.SIGTERM)
                time.sleep(PATIENCE)
            times.append(time_)
        time.sleep(PATIENCE)
        times.append(-1)
    assert times == [0, 1, 2, 3, 4]


def test_a_stop_that_a_library_keeps_is_raised_again(monkeypatch):
    monkeypatch.setattr(module, "_KEPT", 0.01)
    kept: concurrent.futures.Future[None] = concurrent.futures.Future()
    with pytest.raises(Stopped) as caught, Stops() as stops, stops.interrupting():
        try:
            stop()
        except BaseException as error:  # noqa: BLE001 - as executors do
            kept.set_exception(error)
        time.sleep(PATIENCE)
    assert isinstance(kept.exception(), Stopped)
    assert kept.exception() is not caught.value


def test_cleanup_is_not_interrupted(monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.001)
    monkeypatch.setattr(module, "_KEPT", 0.001)
    clean: list[str] = []
    with pytest.raises(Stopped), Stops() as stops, stops.interrupting():
        try:
            stop()
        finally:
            for _ in range(100):  # many looks
                time.sleep(0.001)
            signal.raise_signal(signal.SIGINT)
            try:
                raise OSError
            except OSError:
                for _ in range(100):
                    time.sleep(0.001)
            clean.append("clean")
    assert clean == ["clean"]


def test_nothing_is_sent_when_the_block_has_been_left(monkeypatch):
    monkeypatch.setattr(module, "_INTERVAL", 0.0)
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        for _ in range(200):
            with pytest.raises(Stopped), Stops() as stops, stops.interrupting():
                with suppress(Stopped):
                    stop()
                sum(range(1000))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == []


def test_without_a_thread_the_end_of_the_block_raises_it(monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(Stopped), Stops() as stops, stops.interrupting(), suppress(Stopped):
        stop()


def test_a_signal_that_comes_when_all_is_done_is_not_lost():
    with pytest.raises(Stopped) as caught, Stops():
        signal.raise_signal(signal.SIGHUP)
    assert caught.value.signal is signal.SIGHUP
    assert caught.value.code == 129


def test_the_first_signal_is_the_one_that_is_told():
    stops = Stops()
    with pytest.raises(Stopped) as caught, stops, stops.interrupting():
        with suppress(Stopped):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert stops.received == caught.value.signal == signal.SIGTERM


def test_handlers_are_restored_and_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        others = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
        with Stops() as stops, stops.interrupting():
            signal.raise_signal(signal.SIGHUP)
        assert stops.received is None
        assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == others
    finally:
        signal.signal(signal.SIGHUP, before)
