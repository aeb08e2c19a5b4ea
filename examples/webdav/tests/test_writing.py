"""Writing: whole or not at all, and only what the server promises."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from connectors.errors import NotAnObject, NotSupported, ObjectExists

STRICT = {"atomic_replace": True, "exclusive_create": True}
PROPERTIES = (
    b'<D:multistatus xmlns:D="DAV:"><D:response><D:href>%s</D:href><D:propstat><D:prop><D:resourcetype>%s</D:resourcetype>'
    b"<D:getcontentlength>3</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>"
    b"</D:multistatus>"
)
ROOT = (207, {}, PROPERTIES % (b"/", b"<D:collection/>"))
OBJECT = (207, {}, PROPERTIES % (b"/one", b""))


def names(server):
    return sorted(str(path.relative_to(server.folder)) for path in server.folder.rglob("*") if path.is_file())


def test_missing_folders_are_made(stock, connect):
    fs, path = connect(stock, "made/by/writing/one")
    fs.pipe_file(path, b"one")
    assert (stock.folder / "made/by/writing/one").read_bytes() == b"one"
    with pytest.raises(NotAnObject, match="is a file, so nothing can be stored in it"):
        fs.pipe_file(f"{path}/below", b"two")
    assert fs.cat_file(path) == b"one"


def test_what_the_server_does_not_promise_is_refused(stock, connect):
    fs, path = connect(stock, "unpromised")
    fs.pipe_file(path, b"one")
    with pytest.raises(NotSupported, match="two writers could both succeed"):
        fs.open(path, "xb")
    with pytest.raises(ObjectExists, match="was not replaced"):
        fs.pipe_file(path, b"two")
    assert (stock.folder / "unpromised").read_bytes() == b"one"
    assert not [name for name in names(stock) if name.startswith(".")]


def test_copies_appear_whole_and_replace_where_that_is_promised(strict, connect):
    fs, path = connect(strict, "copied", **STRICT)
    fs.pipe_file(path, b"one")
    fs.pipe_file(f"{path}-2", b"two")
    fs.cp_file(path, f"{path}-2")
    assert (strict.folder / "copied-2").read_bytes() == b"one"


def test_a_folder_is_never_replaced_by_an_object(strict, connect):
    fs, path = connect(strict, "kept", **STRICT)
    fs.pipe_file(f"{path}/one", b"one")
    with pytest.raises(NotAnObject):
        fs.pipe_file(path, b"two")
    with pytest.raises(NotAnObject):
        fs.cp_file(f"{path}/one", path)
    with pytest.raises(NotAnObject):
        fs.rm_file(path)
    assert [name for name in names(strict) if name.startswith(("kept", "."))] == ["kept/one"]


def test_a_killed_writer_leaves_only_a_staged_file(strict, connect):
    fs, path = connect(strict, "killed", **STRICT)
    fs.pipe_file(path, b"what stood there")
    program = (
        "import os, signal\n"
        "from connectors.credentials.model import validate\n"
        "from connectors_webdav import WebDavBackend, WebDavCredentials\n"
        "from connectors_webdav.store import WebDavStore\n"
        "WebDavStore.commit = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        f"document = {{'encryption': None, 'user': 'anna', 'password': {connect.password!r}, 'atomic_replace': True}}\n"
        f"fs, path = WebDavBackend().connect({strict.location('killed')!r}, validate(WebDavCredentials, document))\n"
        "fs.pipe_file(path, b'new')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert fs.cat_file(path) == b"what stood there"
    (staged,) = [path for path in strict.folder.iterdir() if path.name.endswith(".part")]
    assert "/" + staged.name not in fs.ls("/", detail=False)
    staged.unlink()


@pytest.mark.parametrize(("status", "error"), [(507, "no space left"), (423, "is locked by another client")])
def test_a_refused_commit_removes_the_staged_file(liar, status, error):
    liar.replies += [(404, {}, b""), (201, {}, b""), (status, {}, b""), (204, {}, b"")]
    with pytest.raises(OSError, match=error):
        liar.fs().pipe_file("/one", b"one")
    put, staged = liar.requests[1][:2]
    assert (put, liar.requests[-1][:2]) == ("PUT", ("DELETE", staged))


def test_a_move_without_a_response_is_looked_up(liar):
    liar.replies += [(404, {}, b""), (201, {}, b""), (503, {}, b""), (404, {}, b""), OBJECT]
    liar.fs().pipe_file("/one", b"one")
    assert [method for method, *_ in liar.requests] == ["PROPFIND", "PUT", "MOVE", "MOVE", "PROPFIND"]


def test_a_lost_object_is_not_taken_for_a_written_one(liar):
    liar.replies += [(404, {}, b""), (201, {}, b""), (503, {}, b""), *[(404, {}, b"")] * 4]
    with pytest.raises(OSError, match="nothing is stored"):
        liar.fs().pipe_file("/one", b"one")


def test_writing_needs_no_permission_to_look(liar):
    liar.replies += [(403, {}, b""), (403, {}, b""), (201, {}, b""), (201, {}, b"")]
    liar.fs().pipe_file("/ward/one", b"one")
    assert [method for method, *_ in liar.requests] == ["PROPFIND", "PROPFIND", "PUT", "MOVE"]


def test_wsgidav_would_write_to_another_name_and_that_is_refused(stock, connect):
    fs, path = connect(stock, "what")
    fs.pipe_file(path, b"another object")
    with pytest.raises(NotSupported, match="would write to another file"):
        fs.pipe_file(f"{path}?", b"x")
    assert [name for name in names(stock) if name.startswith(("what", "."))] == ["what"]
    assert fs.cat_file(path) == b"another object"
    # What it would do: the object lands on another name.
    (stock.folder / "from").write_bytes(b"x")
    move(stock, connect.password, "from", "where%3F")
    assert (stock.folder / "where").read_bytes() == b"x"


def move(server, password, source, target):
    base = f"http://127.0.0.1:{server.port}"
    headers = {
        "Destination": f"{base}/{target}",
        "Overwrite": "T",
        "Authorization": "Basic " + base64.b64encode(f"anna:{password}".encode()).decode(),
    }
    request = urllib.request.Request(f"{base}/{source}", headers=headers, method="MOVE")
    with urllib.request.urlopen(request) as reply:
        assert reply.status in (201, 204)
