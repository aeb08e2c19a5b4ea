"""The signed query is sent unchanged, and appears nowhere else."""

from __future__ import annotations

import base64
import copy
import http.client
import io
import json
import logging
import pickle
import traceback
from pathlib import Path

import pytest

from connectors.errors import ConnectorError, InvalidLocation, ObjectExists
from connectors_https import HttpsBackend, HttpsCredentials

SECRET = "5e5a3e0be9"
QUERY = f"X-Amz-Credential=AKID%2f2026+b%20c&X-Amz-Signature={SECRET}%2F%3d&x=a+b%7e~!$'()*,;:@/?-._&empty=&flag"
FAULTS = {
    "refused": {"status": 403, "body": f"<Code>AccessDenied</Code><Message>{SECRET}</Message>".encode()},
    "absent": {"status": 404, "body": SECRET.encode(), "headers": {"x-ms-error-code": "BlobNotFound"}},
    "redirected": {"status": 307, "headers": {"Location": f"https://other.example/{SECRET}?{QUERY}"}},
    "broken": {"hang_up": True},
    "busy": {"status": 503, "headers": {"Retry-After": SECRET}},
    "cut": {"status": 206, "body": b"0123456789", "headers": {"Content-Range": "bytes 0-9/10"}, "cut": 0},
    "nonsense": {"status": 206, "body": b"0123456789", "headers": {"Content-Range": SECRET}},
    "unlikely": {"status": 999, "headers": {"x-ms-error-code": f"<{SECRET}>"}},
}


def everything_of(error):
    """Return everything that can be printed of an error: its chain, its notes and the frames that it passed."""
    seen = []
    while error is not None:
        seen += [str(error), repr(error), repr(error.args), *getattr(error, "__notes__", [])]
        seen += traceback.format_exception(error)
        for frame, _ in traceback.walk_tb(error.__traceback__):
            if Path(frame.f_code.co_filename).parent != Path(__file__).parent:
                seen += [repr(frame.f_locals)]
                # ... and what a crash reporter finds one level deeper.
                seen += [repr(vars(value)) for value in frame.f_locals.values() if hasattr(value, "__dict__")]
        error = error.__context__ or error.__cause__
    return "\n".join(seen)


def connect(base, query=QUERY):
    encoded = base64.b64encode(query.encode()).decode()
    credentials = HttpsCredentials(query_string=encoded, encryption=None)
    return HttpsBackend().connect(f"{base}/clinic/conditions", credentials)


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/clinic/conditions.csv", "/clinic/conditions.csv"),
        ("/a%2fb%2Fc/%e4%C3%a4%7e", "/a%2fb%2Fc/%e4%C3%a4%7e"),
        ("/a+b/c&d=e;f,g:h@i!$'()*~", "/a+b/c&d=e;f,g:h@i!$'()*~"),
        ("//a/../b/./c//", "//a/../b/./c//"),
        ('/a b"<>\\^`{|}', "/a%20b%22%3C%3E%5C%5E%60%7B%7C%7D"),
        ("/100%/%zz", "/100%25/%25zz"),
        ("/ä/\u65e5", "/%C3%A4/%E6%97%A5"),
    ],
)
def test_the_request_line_is_what_was_signed(origin, reply, method, path, sent):
    origin.answer = lambda _: reply(200)
    fs = origin.fs(QUERY, path=path)
    if method == "GET":
        fs.open_source(fs.path).read_range(0, 1)
    else:
        fs.open_sink(fs.path).commit()
    assert origin.lines == [f"{method} {sent}?{QUERY} HTTP/1.1"]


def test_a_request_without_a_query_has_no_question_mark(origin):
    origin.serve(b"x")
    fs = origin.fs()
    fs.info(fs.path)
    assert origin.lines == ["GET /clinic/conditions HTTP/1.1"]


def test_requests_have_a_user_agent_and_no_other_extra_header(origin):
    origin.serve(b"0123456789")
    fs = origin.fs(QUERY)
    fs.open_source(fs.path).read_range(0, 5)
    assert origin.requests[0].headers == {
        "host": f"127.0.0.1:{origin.port}",
        "accept-encoding": "identity",
        "user-agent": origin.requests[0].headers["user-agent"],
        "range": "bytes=0-4",
    }
    assert origin.requests[0].headers["user-agent"].startswith("enclave-connectors-https/")


def test_proxies_of_the_environment_are_not_used(origin, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    origin.serve(b"x")
    fs, path = connect(origin.base)
    assert fs.size(path) == 1


@pytest.fixture
def printed(caplog, capfd):
    """Everything that was logged and printed so far."""
    caplog.set_level(logging.DEBUG)
    return lambda: caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_of_a_read_holds_the_query(origin, reply, printed, fault):
    origin.answer = lambda _: reply(**FAULTS[fault])
    fs = origin.fs(QUERY)
    with pytest.raises(ConnectorError) as caught:
        fs.open_source(fs.path).read_range(0, 10)
    assert SECRET in origin.lines[0]
    assert SECRET not in everything_of(caught.value)
    shown = printed()
    assert "127.0.0.1" in shown  # proves that logging was on
    assert SECRET not in shown


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_of_a_write_holds_the_query(origin, reply, printed, fault, exclusive):
    origin.answer = lambda _: reply(**FAULTS[fault])
    fs = origin.fs(QUERY)
    sink = fs.open_sink(fs.path, exclusive=exclusive)
    sink.write(memoryview(b"sealed"))
    with pytest.raises(ConnectorError) as caught:
        sink.commit()
    sink.discard()
    assert SECRET in origin.lines[0]
    assert SECRET not in everything_of(caught.value)
    shown = printed()
    assert "127.0.0.1" in shown
    assert SECRET not in shown


def test_no_connection_error_holds_the_query(origin):
    fs = origin.fs(QUERY)
    origin.close()
    with pytest.raises(ConnectorError) as caught:
        fs.open_source(fs.path).read_range(0, 10)
    assert SECRET not in everything_of(caught.value)
    assert caught.value.__context__ is None


def test_expiry_errors_hold_no_query(origin):
    old = f"X-Amz-Date=20200101T000000Z&X-Amz-Expires=60&X-Amz-Signature={SECRET}"
    with pytest.raises(ConnectorError) as caught:
        origin.fs(old).open_source(origin.base + "/clinic/conditions")
    assert SECRET not in everything_of(caught.value)


def test_the_debug_output_of_http_client_holds_no_query(origin, monkeypatch, capfd):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    origin.serve(b"x")
    fs, path = connect(origin.base)
    assert fs.cat_file(path) == b"x"
    assert SECRET in origin.lines[0]
    assert SECRET not in "".join(capfd.readouterr())


def test_logs_of_successful_reads_and_writes_hold_no_query(origin, reply, caplog):
    caplog.set_level(logging.DEBUG)
    origin.serve(b"x")
    fs, path = connect(origin.base)
    fs.cat_file(path)
    fs.pipe_file(path, b"y")
    assert len(origin.requests) == 2
    assert "/clinic/conditions" in caplog.text
    assert SECRET not in caplog.text


def test_nothing_prints_or_serialises_the_query(origin):
    fs, path = connect(origin.base)
    source, sink = fs.open_source(path), fs.open_sink(path)
    store = fs.store
    request = store.read_request(path, None, None)
    for thing in (fs, source, sink, store, store.client, store.signer, store.signer.sign(request)):
        for shown in (repr(thing), str(thing), f"{thing}", repr(getattr(thing, "__dict__", ""))):
            assert SECRET not in shown
        with pytest.raises(TypeError):
            pickle.dumps(thing)
    assert fs.storage_options == {}
    assert fs.storage_args == ()
    for refused in (fs.to_json, fs.to_dict, lambda: fs.to_json(include_password=False), lambda: copy.deepcopy(fs)):
        with pytest.raises(TypeError, match="holds secrets"):
            refused()
    sink.discard()


def test_credentials_show_their_query_only_in_their_document():
    encoded = base64.b64encode(QUERY.encode()).decode()
    credentials = HttpsCredentials(query_string=encoded, encryption=None)
    for shown in (repr(credentials), str(credentials), credentials.model_dump_json(), repr(credentials.model_dump())):
        assert SECRET not in shown
        assert encoded not in shown
    with pytest.raises(TypeError):
        pickle.dumps(credentials)
    assert json.dumps(credentials.document()) == json.dumps({"encryption": None, "query_string": encoded})


def test_filesystems_with_two_queries_are_not_equal(origin):
    one, two, other = origin.fs("sig=1"), origin.fs("sig=2"), origin.fs("sig=1")
    assert len({one, two, other}) == 3
    assert one == one  # noqa: PLR0124 - by identity
    assert one != other
    assert one._fs_token != two._fs_token != other._fs_token
    assert one.__dask_tokenize__() != other.__dask_tokenize__()


def test_fsspec_configuration_for_https_is_ignored(origin, monkeypatch):
    monkeypatch.setitem(__import__("fsspec").config.conf, "http", {"limits": "all", "query": "mine", "block_size": 1})
    origin.serve(b"x")
    fs, path = connect(origin.base)
    fs.info(path)
    assert SECRET in origin.lines[0]
    assert fs.storage_options == {}


def test_a_location_with_a_query_is_refused_without_showing_it(origin):
    credentials = HttpsCredentials(encryption=None)
    with pytest.raises(InvalidLocation, match="query_string") as caught:
        HttpsBackend().connect(f"{origin.base}/clinic/conditions?{QUERY}", credentials)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_another_path_is_not_shown_with_its_query(origin):
    fs, path = connect(origin.base)
    with pytest.raises(ConnectorError, match="holds .*/clinic/conditions and nothing else") as caught:
        fs.open_source(f"{path}?{QUERY}")
    assert SECRET not in str(caught.value)


def test_the_error_of_a_retried_exclusive_write_holds_no_query(origin, reply):
    origin.answer = lambda _: reply(412)
    origin.then(reply(502))
    fs, path = connect(origin.base)
    sink = fs.open_sink(path, exclusive=True)
    with pytest.raises(ObjectExists) as caught:
        sink.commit()
    sink.discard()
    assert SECRET not in everything_of(caught.value)


def test_a_text_traceback_of_a_file_read_holds_no_query(origin, reply):
    origin.answer = lambda _: reply(403)
    fs, path = connect(origin.base)
    with pytest.raises(PermissionError) as caught, io.TextIOWrapper(fs.open(path)) as file:
        file.read()
    assert SECRET not in everything_of(caught.value)
