"""Untrusted documents: folder manifests, results of commands, key files, app config folders.

The first byte chooses the parser; the rest is its input.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from typing import TYPE_CHECKING

import connectors
from connectors.cli.common.key_files import read_key
from connectors.fs.manifest import _as_bytes, parse_manifest
from connectors.names import is_name
from connectors.runner import read_result
from fuzz.checks import MARK, attempt, hold

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PARSERS", "WORDS", "check", "seeds"]

WORDS = (
    *(b'"returncode": ', b'"stdout": ', b'"stderr": ', b'"schema": ', b'"objects": ', b'"size": ', b'"pin": '),
    *(b'"encryption": ', b'"key": ', b'"manifest": true', b'"layout": "folder"', b"null", b"true", b"file:///"),
    *(b"ab" * 32, b"\xef\xbb\xbf", b"\\ud800", b"1e999", b"-0", b"..", b"\n", b"memory://", b"hunter2"),
)
"""Words that the fuzzer inserts, besides bytes."""


def _manifest(data: bytes) -> str:
    def parse() -> None:
        members = parse_manifest(data)
        hold(parse_manifest(_as_bytes(members)) == members, "a manifest does not round-trip")
        for name, member in members.items():
            hold(member.size >= 0 and len(bytes.fromhex(member.pin)) == 32, "an invalid member")
            hold(name and not {"", ".", ".."} & set(name.split("/")) and "\0" not in name, "a name leads elsewhere")

    return attempt(parse)


def _result(data: bytes) -> str:
    def parse() -> None:
        found = read_result(io.BytesIO(data))
        hold(-(1 << 31) <= found.returncode < 1 << 31, "an invalid exit code")
        hold(read_result(io.BytesIO(found.to_json().encode())) == found, "a result does not round-trip")

    return attempt(parse, hidden=True)


def _key(data: bytes) -> str:
    path = os.path.join(_folder(), "key.hex")
    with open(path, "wb") as file:
        file.write(data)
    return attempt(lambda: hold(len(read_key(path).reveal()) == 32, "an invalid key"), hidden=True)


def _app(data: bytes) -> str:
    """Write and read an app config folder: port, object, location and document, separated by line breaks."""
    port, name, location, document = [*data.split(b"\n", 3), b"", b"", b""][:4]
    with tempfile.TemporaryDirectory(dir=_folder()) as root:
        # A name that no folder can have is only looked up.
        with contextlib.suppress(OSError, ValueError):
            folder = os.path.join(os.fsencode(root), port, name, b"dataset")
            if os.path.realpath(folder).startswith(os.path.realpath(os.fsencode(root)) + b"/"):
                os.makedirs(folder)
                for file, content in ((b"location.txt", location), (b"credentials.bin", document)):
                    with open(os.path.join(folder, file), "wb") as out:
                        out.write(content)

        def read() -> None:
            app = connectors.load(root)
            hold(
                all(is_name(one) for one in (*app, *(name for one in app.values() for name in one))), "an invalid name"
            )
            dataset = app[port.decode("utf-8", "surrogateescape")][name.decode("utf-8", "surrogateescape")]
            hold(dataset.location.isprintable(), "an invalid location")
            hold(MARK not in repr(dataset.credentials), "a secret is shown")

        hidden = MARK.encode() in document and MARK.encode() not in port + name + location
        return attempt(read, hidden=hidden and document.count(MARK.encode()) == document.count(b'"%s"' % MARK.encode()))


_made: list[str] = []


def _folder() -> str:
    """Return the process's folder for small files, in memory if possible."""
    if not _made:
        keep = tempfile.TemporaryDirectory(prefix="fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None)
        _keeping.enter_context(keep)
        _made.append(keep.name)
    return _made[0]


_keeping = contextlib.ExitStack()
PARSERS: tuple[Callable[[bytes], str], ...] = (_manifest, _result, _key, _app)


def check(data: bytes) -> str:
    """Pass a parser its bytes."""
    return PARSERS[(data[0] if data else 0) % len(PARSERS)](data[1:])


def seeds() -> dict[str, bytes]:
    """Return the initial inputs."""
    schema, pin = b'{"schema": "enclave-connectors folder manifest 1", "objects": ', b"ab" * 32
    key = b"5a" * 32
    return {
        "manifest-empty": b"\0" + schema + b"{}}",
        "manifest": b"\0" + schema + b'{"north/a.csv": {"size": 2817, "pin": "%s"}}}' % pin,
        "manifest-twice": b"\0" + schema + b'{"a": {"size": 1, "pin": "%s"}, "a": {"size": 1e2, "pin": ""}}}' % pin,
        "manifest-dots": b"\0" + schema + b'{"../a": {"size": 0, "pin": "%s"}}}' % pin,
        "result": b'\1{"returncode": 0, "stdout": "ODM3Ngo=", "stderr": ""}',
        "result-signal": b'\1\xef\xbb\xbf{"returncode": -9, "stdout": "", "stderr": "aHVudGVyMg=="}',
        "result-wrong": b'\1{"returncode": true, "stdout": "hunter2", "stderr": null, "more": [1e999, "\\ud800"]}',
        "key": b"\2" + key + b"\n",
        "key-lines": b"\2\xef\xbb\xbf" + key[:32] + b"\r\n" + key[32:],
        "key-wrong": b"\2hunter2 is no key",
        "app": b'\3input\nconditions\nmemory://clinic/x\n{"encryption": {"key": "%s"}}' % key,
        "app-plain": b'\3output\nKlinik S\xc3\xbcd\nfile:///x/\n{"encryption": null, "layout": "folder"}',
        "app-wrong": b'\3in\xffput\n..\ns3://clinic/x\n{"encryption": {"key": "hunter2"}, "type": "s3"}',
    }
