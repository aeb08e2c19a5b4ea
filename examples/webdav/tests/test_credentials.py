"""Credentials and locations: what they say, and that no password is shown."""

from __future__ import annotations

import ast
import logging
import traceback
from pathlib import Path

import pytest

import connectors_webdav
from connectors.credentials.model import validate
from connectors.errors import ConnectorError, InvalidCredentials, InvalidLocation
from connectors_webdav import WebDavBackend, WebDavCredentials

SECRET = "5e5a3e0be9"


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"user": "anna"}, "user and password belong together"),
        ({"password": SECRET}, "user and password belong together"),
        ({"user": "anna", "password": SECRET, "token": SECRET}, "not both"),
        ({"user": f"anna:{SECRET}", "password": "x"}, "contains a colon"),
        ({"token": f"{SECRET}\r\nHost: elsewhere"}, "not allowed here"),
        ({"token": ""}, "empty"),
    ],
)
def test_credentials_that_cannot_work_are_refused(members, problem):
    with pytest.raises(InvalidCredentials, match=problem) as error:
        validate(WebDavCredentials, {"encryption": None, **members})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("location", "problem"),
    [
        ("https://host/one", "does not start with webdavs://"),
        ("webdavs://host", "names no path"),
        (f"webdavs://anna:{SECRET}@host/one", "contains a user"),
        ("webdavs:///one", "host or port"),
        ("webdavs://host:port/one", "host or port"),
        ("webdavs://host/a/../b", "segment"),
        ("webdavs://host/a//b", "segment"),
        ("webdavs://host/a\nb", "control"),
        ("webdav://host/one", "unencrypted"),
    ],
)
def test_locations_that_cannot_work_are_refused(location, problem):
    with pytest.raises(InvalidLocation, match=problem) as error:
        WebDavBackend().connect(location, validate(WebDavCredentials, {"encryption": None}))
    assert SECRET not in str(error.value)


@pytest.mark.parametrize(
    ("location", "path", "shown"),
    [
        ("webdavs://host/a/b", "/a/b", "webdavs://host/"),
        ("webdavs://host:8443/a/", "/a", "webdavs://host:8443/"),
        ("webdav://[::1]:8080/", "/", "webdav://[::1]:8080/"),
    ],
)
def test_locations_name_a_server_and_a_path(location, path, shown):
    fs, found = WebDavBackend().connect(location, validate(WebDavCredentials, {"encryption": None}))
    assert (found, repr(fs)) == (path, f"<WebDavFileSystem at {shown}>")


def test_http_can_be_allowed():
    credentials = validate(WebDavCredentials, {"encryption": None, "allow_http": True})
    assert WebDavBackend().connect("webdav://nas/a", credentials)[1] == "/a"


@pytest.mark.parametrize("status", [200, 207, 302, 401, 403, 404, 500])
def test_no_password_is_shown(liar, caplog, status):
    fs = liar.fs(user="anna", password=SECRET)
    caplog.set_level(logging.DEBUG)
    shown = [repr(fs), repr(fs.store), repr(vars(fs)), repr(fs.store.signer)]
    for work in (lambda: fs.cat_file("/one"), lambda: fs.ls("/one"), lambda: fs.pipe_file("/one", b"x")):
        liar.replies[:] = [(status, {"Location": f"/{SECRET}", "ETag": SECRET}, SECRET.encode())] * 20
        try:
            work()
        except ConnectorError as error:
            shown += traceback.format_exception(error)
    assert len(liar.requests) >= 3
    assert SECRET not in "\n".join([*shown, caplog.text])


def test_it_imports_only_what_backends_may_import():
    allowed = {"connectors.storage", "connectors.errors", "connectors.secrets"}
    for module in Path(connectors_webdav.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "connectors":
                assert node.module in allowed, module
