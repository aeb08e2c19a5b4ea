"""One raw reader in several threads: each read returns consecutive bytes, and together they return every byte once."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from patience import PATIENCE
from sealing import CASES, Case, Recorded, reading
from streamed import Streamed

MIB = 1 << 20
COUNTED = b"".join(number.to_bytes(4) for number in range(2 * MIB))
"""8 MiB, of which any eight bytes in a row tell their position."""
THREADS = 6

pytestmark = pytest.mark.usefixtures("no_thread_is_left")


@pytest.fixture(autouse=True)
def threads_take_turns_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("kind", [Streamed, Recorded])
@pytest.mark.parametrize("size", [4096, 300_000, MIB], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_threads_that_share_a_reader_get_every_byte_once(case: Case, size: int, kind: type[Recorded]) -> None:
    with reading(case, kind(case.seal(COUNTED))) as file:
        together = threading.Barrier(THREADS)

        def read() -> list[bytes]:
            pieces, buffer = [], bytearray(size)
            together.wait(PATIENCE)
            while done := file.readinto(buffer):
                pieces.append(bytes(buffer[:done]))
            return pieces

        with ThreadPoolExecutor(THREADS) as pool:
            results = [pool.submit(read) for _ in range(THREADS)]
            pieces = {piece[:8]: piece for one in results for piece in one.result(PATIENCE)}
    position = 0
    while position < len(COUNTED):
        piece = pieces.pop(COUNTED[position : position + 8])
        assert piece == COUNTED[position : position + len(piece)]
        position += len(piece)
    assert not pieces
