"""Bare loops over memory, which no implementation with these ciphers can beat."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR, GCM

from benchmarks.bench import not_run
from benchmarks.ours import shown
from benchmarks.plain import KEY
from benchmarks.scale import MIB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from benchmarks.bench import Row, Run, Take

NONCE, TAG = bytes(12), 16
MOVING = 256 * MIB
"""Bytes of data that is read from memory, because it does not fit into any cache."""


def limit_name(chunk: int, *, moving: bool = False) -> str:
    return f"limit loop {shown(chunk)}" + (", data from memory" if moving else "")


def sealing_loop(chunk: int, size: int, *, moving: bool = False) -> Run:
    """Return a loop that seals `size` bytes in chunks: always the same chunk, or with `moving` successive ones."""
    aead = AESGCM(KEY)
    plain, sealed = memoryview(bytearray(min(size, MOVING) if moving else chunk)), memoryview(bytearray(chunk + TAG))
    pieces = [(start % len(plain), length) for start, length in _pieces(chunk, size)]

    def run(take: Take) -> None:
        for start, length in pieces:
            aead.encrypt_into(NONCE, plain[start : start + length], None, sealed[: length + TAG])
        take(sealed)

    return run


def opening_loop(chunk: int, size: int, *, moving: bool = False) -> Run:
    """Return a loop that opens `size` bytes in chunks: always the same chunk, or with `moving` successive ones."""
    aead = AESGCM(KEY)
    plain = memoryview(bytearray(chunk))
    lengths = [length for _, length in _pieces(chunk, size)]
    once = {length: aead.encrypt(NONCE, plain[:length], None) for length in lengths}
    pieces = [once[length] for length in lengths]
    if moving:
        several = [memoryview(bytearray(piece)) for piece in pieces[: max(1, MOVING // chunk)]]
        pieces = [several[index % len(several)][: length + TAG] for index, length in enumerate(lengths[:-1])]
        pieces.append(memoryview(once[lengths[-1]]))

    def run(take: Take) -> None:
        for sealed in pieces:
            aead.decrypt_into(NONCE, sealed, None, plain[: len(sealed) - TAG])
        take(plain)

    return run


def _pieces(chunk: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(chunk, size - start)) for start in range(0, size, chunk)]


def two_passes(sealed: bytes | memoryview) -> Run:
    """Return the minimal work that opens a one-shot object and releases no unverified byte: verify, then decrypt."""
    view = memoryview(sealed)
    nonce, body, tag = bytes(view[:12]), view[12:-TAG], bytes(view[-TAG:])
    buffer = memoryview(bytearray(MIB + TAG))

    def run(take: Take) -> None:
        verifying = Cipher(AES256(KEY), GCM(nonce, tag)).decryptor()
        for start in range(0, len(body), MIB):
            verifying.update_into(body[start : start + MIB], buffer)
        verifying.finalize()
        decrypting = Cipher(AES256(KEY), CTR(nonce + (2).to_bytes(4))).decryptor()
        for start in range(0, len(body), MIB):
            take(buffer[: decrypting.update_into(body[start : start + MIB], buffer)])

    return run


def library_sealing(pieces: Iterable[Buffer]) -> Run:
    """Return a run of the cryptography library's own cobblestone, from start to end."""

    def run(take: Take) -> None:
        encryptor = Cobblestone256Encryptor(KEY, b"")
        for piece in pieces:
            take(encryptor.update(piece))
        take(encryptor.finalize())

    return run


def library_opening(sealed: bytes | memoryview) -> Run:
    view = memoryview(sealed)

    def run(take: Take) -> None:
        decryptor = Cobblestone256Decryptor(KEY, b"")
        for start in range(0, len(view), MIB):
            take(decryptor.update(view[start : start + MIB]))
        take(decryptor.finalize())

    return run


def openssl_speed(block: int) -> Row:
    """Return a row with the result of the system's `openssl speed` for AES-256-GCM."""
    name = f"openssl speed {shown(block)}"
    command = ["openssl", "speed", "-mr", "-seconds", "1", "-bytes", str(block), "-evp", "aes-256-gcm"]
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = [line for line in done.stdout.splitlines() if line.startswith("+F:")]
        speed = round(float(found[-1].split(":")[-1]))
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        return not_run("encrypt", name, f"{type(error).__name__}: {error}")
    row: Row = {"operation": "encrypt", "contender": name, "size": None, "chunk": block, "seconds": []}
    return row | {"bytes_per_second": speed, "reference": None, "ratio": None}
