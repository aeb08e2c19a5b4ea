"""Secrets: usable, and nowhere to be seen."""

from __future__ import annotations

import copy
import io
import json
import logging
import os
import pickle
import traceback

import pytest
from pydantic import BaseModel

import connectors
from connectors import SecretKey, SecretText
from connectors.errors import ConnectorError, InvalidKey
from connectors.formats import NAMES, select
from connectors.secrets import redact_url

RAW = bytes(range(100, 132))
DIGITS = RAW.hex()
SHAPES = (DIGITS, DIGITS.upper(), repr(RAW), repr(RAW)[2:-1], "hunter2")


def hidden(*texts: object) -> None:
    for text in texts:
        for shape in SHAPES:
            assert shape not in str(text)


@pytest.mark.parametrize("value", [RAW, bytearray(RAW), memoryview(RAW), DIGITS, DIGITS.upper(), f" {DIGITS}\n"])
def test_key_is_32_bytes_or_64_digits(value):
    assert SecretKey(value).reveal() == RAW
    assert SecretKey(SecretKey(value)) == SecretKey(RAW)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"", "a key is 32 bytes; this one has 0"),
        (RAW[:-1], "a key is 32 bytes; this one has 31"),
        (RAW + b"x", "a key is 32 bytes; this one has 33"),
        (DIGITS[:-1], "64 hexadecimal digits; this one has 63 characters"),
        (DIGITS + "0", "64 hexadecimal digits; this one has 65 characters"),
        ("x" + DIGITS[1:], "64 hexadecimal digits; this one has characters other than"),
        ("٣" * 64, "64 hexadecimal digits; this one has characters other than"),
        (7, "a key is a SecretKey, 32 bytes or 64 hexadecimal digits, not int"),
        (None, "not NoneType"),
    ],
)
def test_what_is_no_key_is_said_without_showing_it(value, message):
    with pytest.raises(InvalidKey, match=message) as error:
        SecretKey(value)
    hidden(str(error.value), "".join(traceback.format_exception(error.value)))


def test_generated_keys_differ():
    assert SecretKey.generate() != SecretKey.generate()
    assert len(SecretKey.generate().reveal()) == 32


@pytest.mark.parametrize("secret", [SecretKey(RAW), SecretText("hunter2")], ids=["key", "text"])
def test_secret_shows_nowhere(secret, caplog):
    logging.getLogger("test").warning("the secret is %s, %r", secret, secret)
    hidden(repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret}", [secret], {"k": secret}, caplog.text)
    hidden(json.dumps({"secret": secret}, default=str), traceback.format_exc())
    assert not hasattr(secret, "__dict__")
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        hash(secret)
    assert copy.copy(secret) is secret
    assert copy.deepcopy([secret])[0] is secret


def test_secrets_of_different_values_and_kinds_are_unequal():
    assert SecretText("a") != SecretText("b")
    assert SecretText("a") == SecretText("a")
    assert SecretText("a") != "a"
    assert SecretKey(RAW) != SecretText(DIGITS)


def test_models_mask_their_secrets_unless_told_to_reveal_them():
    class Model(BaseModel):
        key: SecretKey
        text: SecretText

    model = Model.model_validate({"key": DIGITS, "text": "hunter2"})
    hidden(model, repr(model), model.model_dump(), model.model_dump_json(), model.model_dump(mode="json"))
    assert json.loads(model.model_dump_json(context={"reveal": True})) == {"key": DIGITS, "text": "hunter2"}
    assert Model.model_json_schema()["properties"]["text"]["format"] == "password"


@pytest.mark.parametrize("name", NAMES)
def test_formats_and_streams_show_no_key(name, caplog):
    caplog.set_level(logging.DEBUG)
    codec = select(name, RAW)
    sealed = io.BytesIO()
    with connectors.open_writer(sealed, RAW, format=name) as writer:
        writer.write(b"37.2")
        hidden(codec, repr(writer), vars(codec), vars(writer), vars(codec.encryptor()))
    with connectors.open_reader(sealed, RAW, format=name) as reader:
        hidden(
            repr(reader),
            repr(reader.raw),
            vars(reader.raw),
            vars(reader.raw._object),
            vars(reader.raw._object._decryptor),
        )
        for stream in (reader, reader.raw, writer):
            with pytest.raises(TypeError):
                pickle.dumps(stream)
    with pytest.raises(ConnectorError) as error:
        connectors.open_reader(sealed, RAW[::-1], format=name)
    seen: BaseException | None = error.value
    while seen is not None:
        hidden(str(seen), "".join(traceback.format_exception(seen)))
        seen = seen.__context__
    hidden(caplog.text)


def printed_with_locals(error: BaseException) -> str:
    """Return what crash reporters show: a traceback with every local of the frames that are ours."""
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = []
    while shown is not None:
        ours = [frame for frame in shown.stack if f"{os.sep}connectors{os.sep}" in frame.filename]
        lines += [f"{frame.name} {name} = {value}" for frame in ours for name, value in (frame.locals or {}).items()]
        lines += shown.format_exception_only()
        shown = shown.__context__ or shown.__cause__
    return "\n".join(lines)


@pytest.mark.parametrize("key", [RAW, DIGITS, SecretKey(RAW)], ids=["bytes", "text", "secret"])
@pytest.mark.parametrize("name", NAMES)
def test_tracebacks_with_locals_show_no_key(name, key, tmp_path):
    sealed, cut = io.BytesIO(), io.BytesIO()
    connectors.encrypt(io.BytesIO(bytes(50_000)), sealed, key, format=name)
    cut.write(sealed.getvalue()[:-1])
    failing = [
        lambda: connectors.open_reader(cut, key, format=name),
        lambda: connectors.decrypt(cut, io.BytesIO(), key, format=name),
        lambda: connectors.open_reader(tmp_path / "none", key, format=name),
        lambda: connectors.open_writer(tmp_path / "none" / "none", key, format=name),
        lambda: connectors.encrypt(tmp_path / "none", io.BytesIO(), key, format=name),
        lambda: select(name, key, context="text"),
    ]
    for fail in failing:
        with pytest.raises(ConnectorError) as error:
            fail()
        shown = printed_with_locals(error.value)
        assert " = " in shown
        hidden(shown)


def test_tracebacks_with_locals_of_what_is_no_key_do_not_show_it():
    with pytest.raises(InvalidKey) as error:
        SecretKey(DIGITS[:-1])
    assert DIGITS[:-1] not in printed_with_locals(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/key", "https://host/key"),
        ("https://host/key?X-Amz-Signature=abc", "https://host/key?…"),
        ("https://user:hunter2@host:8443/key#hunter2", "https://host:8443/key"),
        ("s3://id:hunter2@bucket/key", "s3://bucket/key"),
        ("https://host?hunter2", "https://host?…"),
        ("s3://id:hunter2/more@bucket/key", "s3://…"),
        ("s3://id:hunter2?more@bucket/key", "s3://…?…"),
        ("s3://id:hunter2#more@bucket/key", "s3://…"),
        ("https://[::1]:8443/key", "https://[::1]:8443/key"),
        ("id:hunter2@bucket/key", "bucket/key"),
        ("https:/id:hunter2@bucket/key?hunter2", "bucket/key?…"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
    ],
)
def test_urls_are_shown_without_what_gives_access(url, shown):
    assert redact_url(url) == shown
