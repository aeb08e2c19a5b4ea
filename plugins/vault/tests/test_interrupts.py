"""An interrupt, as of Ctrl-C, shows no secret in the variables of its traceback."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from canaries import Canaries
from hostile import Answer, Request
from interrupts import interrupted
from patience import PATIENCE, until
from watching import frames_of

from connectors.keys import reference, source_of, wrapping
from connectors.secrets import SecretKey

KEY = SecretKey("a5" * 32)


@pytest.mark.parametrize("silent", ["login", "encrypt", "decrypt"])
def test_interrupted_request_is_not_in_the_traceback(clinic: Any, silent: str) -> None:
    clinic.login = {"approle": clinic.log_in_by_role(token_ttl="1h")}
    found = reference(clinic.hold(KEY))
    if silent == "login":
        clinic.login = {"approle": clinic.log_in_by_role()}
    place, ended, error = wrapping(clinic.wrapping()), threading.Event(), None
    before = len(clinic.seen)

    def answer(request: Request) -> Answer | None:
        return Answer(503) if silent in request.target and ended.wait(PATIENCE) else None

    def work() -> None:
        nonlocal error
        try:
            if silent == "decrypt":
                source_of("vault").unwrap(found, None)
            else:
                source_of("vault").wrap(KEY, place, None)
        except BaseException as caught:
            error = caught
            raise

    clinic.answering = answer
    try:
        with interrupted(lambda: until(lambda: len(clinic.seen) > before, "the request arrives")):
            work()
    finally:
        ended.set()
    assert isinstance(error, KeyboardInterrupt)
    frames = list(frames_of(error))
    assert any("storage/http" in where or where.startswith("http/") for where, _ in frames)
    marks = Canaries({"key": KEY.reveal(), **{f"secret {number}": one for number, one in enumerate(clinic.issued)}})
    for where, text in frames:
        marks.check(where, [text])
