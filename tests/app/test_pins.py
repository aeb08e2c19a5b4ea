"""Pins: one sealing is read, and no other, however it came there."""

from __future__ import annotations

import io
import json

import pytest
from command_line import connectors as command
from sealing import CASES, KEY, OTHER_KEY, Case, Recorded, plain_bytes

import connectors
from connectors.errors import ConfigError, InvalidCredentials, NotSupported, PinMismatch, TruncatedObject, WrongKey

SIZES = [0, 1, 16_384, 300_000]


def pin_of(case: Case, sealed: bytes) -> str:
    return connectors.fingerprint(io.BytesIO(sealed), KEY, format=case.read, **case.options)


def reading(case: Case, sealed: bytes, pin: str) -> bytes:
    with connectors.open_reader(io.BytesIO(sealed), KEY, format=case.read, pin=pin, **case.options) as file:
        return file.read()


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_the_pinned_sealing_is_read_and_another_of_the_same_bytes_is_not(case, size):
    plain = plain_bytes(size)
    one, other = case.seal(plain), case.seal(plain)
    pins = pin_of(case, one), pin_of(case, other)
    assert pins[0] != pins[1]
    assert len(pins[0]) == 64
    assert pin_of(case, one) == pins[0]
    assert reading(case, one, pins[0]) == reading(case, one, pins[0].upper()) == plain
    with pytest.raises(PinMismatch, match="not the object that is pinned"):
        reading(case, other, pins[0])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_cut_that_its_format_would_take_for_whole_has_no_pin(case):
    # Only a format that proves its end gives a pin at all.
    sealed = case.seal(plain_bytes(70_000))
    for size in (len(sealed) - 1, len(sealed) - 16, len(sealed) // 2):
        with pytest.raises(connectors.errors.IntegrityError):
            pin_of(case, sealed[:size])


def test_a_pin_holds_no_key_and_another_key_is_told_before_it():
    sealed = CASES[0].seal(b"plain")
    pin = pin_of(CASES[0], sealed)
    assert KEY.hex() not in pin
    with pytest.raises(WrongKey):
        connectors.open_reader(io.BytesIO(sealed), OTHER_KEY, format="cobblestone-256", pin=pin)
    with pytest.raises(TruncatedObject):
        connectors.open_reader(io.BytesIO(sealed[:20]), KEY, pin=pin)


@pytest.mark.parametrize("pin", ["", "00", "g" * 64, "0" * 63, "0" * 65, 7, b"0" * 64])
def test_what_is_no_pin_is_refused(pin):
    with pytest.raises(ConfigError, match="a pin is 64 hexadecimal digits"):
        connectors.open_reader(io.BytesIO(), KEY, pin=pin)


def test_a_source_is_closed_when_its_pin_is_another():
    source = Recorded(CASES[0].seal(b"plain"))
    with pytest.raises(PinMismatch):
        connectors.open_reader(source, KEY, pin="0" * 64)
    assert source.closed


class TestDataset:
    @pytest.fixture
    def location(self, tmp_path) -> str:
        location = f"file://{tmp_path}/conditions.sealed"
        connectors.Dataset(location, self.document()).write_bytes(b"37.2")
        return location

    def document(self, pin: str | None = None) -> dict:
        return {"encryption": {"key": KEY.hex(), "pin": pin}}

    def test_an_object_that_was_put_back_is_an_error_everywhere(self, location, tmp_path):
        older = (tmp_path / "conditions.sealed").read_bytes()
        connectors.Dataset(location, self.document()).write_bytes(b"38.9")
        pinned = connectors.Dataset(
            location, self.document(connectors.Dataset(location, self.document()).fingerprint())
        )
        assert pinned.read_bytes() == b"38.9"
        (tmp_path / "conditions.sealed").write_bytes(older)
        fs, path = pinned.filesystem()
        for read in (
            pinned.read_bytes,
            lambda: pinned.download(tmp_path / "copy"),
            lambda: fs.cat_file(path, 0, 1),
            lambda: fs.cat_ranges([path], [0], [1], on_error="raise"),
            lambda: fs.get_file(path, str(tmp_path / "copy")),
        ):
            with pytest.raises(PinMismatch):
                read()
        assert not (tmp_path / "copy").exists()

    def test_it_is_not_written_to(self, location, tmp_path):
        before = (tmp_path / "conditions.sealed").read_bytes()
        pinned = connectors.Dataset(location, self.document("0" * 64))
        with pytest.raises(NotSupported, match="writing would replace the pinned object"):
            pinned.write_bytes(b"new")
        assert (tmp_path / "conditions.sealed").read_bytes() == before

    def test_a_folder_has_none(self, tmp_path):
        with pytest.raises(InvalidCredentials, match="identifies one object; set"):
            connectors.Dataset(f"file://{tmp_path}/wards/", self.document("0" * 64))

    def test_nor_has_what_is_not_sealed(self, tmp_path):
        dataset = connectors.Dataset(f"file://{tmp_path}/plain", {"encryption": None})
        dataset.write_bytes(b"37.2")
        with pytest.raises(NotSupported, match="not encrypted have no fingerprint"):
            dataset.fingerprint()


class TestCommand:
    @pytest.fixture
    def home(self, tmp_path):
        (tmp_path / "key.hex").write_text(KEY.hex())
        (tmp_path / "plain").write_bytes(b"37.2")
        for name in ("one", "two"):
            assert command("encrypt", "-K", "key.hex", "plain", name, cwd=tmp_path).code == 0
        return tmp_path

    def test_what_it_prints_decrypts_that_file_alone(self, home):
        pin = command("fingerprint", "-K", "key.hex", "one", cwd=home).text.strip()
        assert command("decrypt", "-K", "key.hex", "--pin", pin, "one", "copy", cwd=home).code == 0
        assert (home / "copy").read_bytes() == b"37.2"
        told = command("decrypt", "-K", "key.hex", "--pin", pin, "two", "other", cwd=home).error(3)
        assert "not the object that is pinned" in told
        assert not (home / "other").exists()

    def test_of_a_dataset(self, home):
        folder = home / "app-config" / "input" / "conditions" / "dataset"
        folder.mkdir(parents=True)
        (folder / "location.txt").write_text(f"file://{home}/one\n")
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY.hex()}}))
        url = "dataset://input/conditions"
        done = command("fingerprint", url, "--app-config", "app-config", cwd=home)
        assert done.text == command("fingerprint", "-K", "key.hex", "one", cwd=home).text
        (folder / "credentials.bin").write_text(json.dumps({"encryption": {"key": KEY.hex(), "pin": "0" * 64}}))
        assert "input/conditions: this is not the object that is pinned" in command(
            "cat", url, "--app-config", "app-config", cwd=home
        ).error(3)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["one"], "a file needs its key: --key-file FILE"),
            (["-K", "-", "-"], "the key and the data cannot both come from standard input"),
            (["-K", "key.hex", "dataset://input/x"], "a dataset's key is in its app config"),
            (["-K", "key.hex", "nothing"], "there is no file nothing"),
        ],
    )
    def test_mistakes(self, home, arguments, message):
        assert message in command("fingerprint", *arguments, cwd=home).error()
