"""What formats, sealers and openers refuse: keys, options, sizes, runs; and that a refusal leaves nothing behind."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Iterable, Iterator

import pytest
from sealing import AUTO, CASES, COBBLESTONE, GCM, KEY, OTHER_KEY, TINK_4K, Case, boundary_sizes, plain_bytes, tink

import connectors
from connectors.errors import ConfigError, IntegrityError, InvalidKey, NotSupported, TruncatedObject, WrongKey
from connectors.formats import NAMES, Encryptor, Format, Plain, select
from connectors.formats.tink import MAX_SEGMENT_SIZE, MIN_SEGMENT_SIZE

GIB = 1 << 30


class TestSelect:
    def test_every_name_makes_a_format_of_that_name(self) -> None:
        assert [select(name, KEY).name for name in NAMES] == list(NAMES)

    @pytest.mark.parametrize("name", ["", "AUTO", "plain", "none", "aes", None, "cobblestone-128"])
    def test_an_unknown_name_is_refused_with_the_known_ones(self, name: str) -> None:
        with pytest.raises(ConfigError, match="known are auto, cobblestone-256, tink-gcm-hkdf, gcm"):
            select(name, KEY)

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize(
        ("key", "message"),
        [
            (b"", "32 bytes; this one has 0"),
            (bytes(31), "32 bytes; this one has 31"),
            (bytes(33), "32 bytes; this one has 33"),
            (bytes(16), "32 bytes; this one has 16"),
            (bytearray(64), "32 bytes; this one has 64"),
            ("", "64 hexadecimal digits; this one is empty"),
            ("0" * 63, "64 hexadecimal digits; this one has 63 characters"),
            ("0" * 65, "64 hexadecimal digits; this one has 65 characters"),
            ("g" * 64, "characters other than"),
            ("٣" * 64, "characters other than"),
            (b"0" * 64, "32 bytes; this one has 64"),
            (None, "not NoneType"),
            (0, "not int"),
            ([0] * 32, "not list"),
        ],
    )
    def test_a_key_of_another_length_or_type_is_refused(self, name: str, key: object, message: str) -> None:
        with pytest.raises(InvalidKey, match=message):
            select(name, key)

    @pytest.mark.parametrize("key", [KEY, bytearray(KEY), memoryview(KEY), KEY.hex(), f" {KEY.hex().upper()}\r\n"])
    def test_a_key_may_be_given_in_each_of_its_forms(self, key: bytes) -> None:
        for case in (COBBLESTONE, TINK_4K, GCM):
            with connectors.open_reader(io.BytesIO(case.seal(b"plain")), key, format=case.read, **case.options) as file:
                assert file.read() == b"plain"

    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("context", ["input/conditions", None, 7, bytearray(b"x")])
    def test_a_context_that_is_no_bytes_is_refused_before_anything_is_written(
        self, name: str, context: bytes, tmp_path
    ) -> None:
        with pytest.raises(ConfigError, match="a context is bytes"):
            connectors.open_writer(tmp_path / "sealed", KEY, format=name, context=context)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("context", [b"\0", b"trial 7\0ward/one.csv", b"x\0"])
    @pytest.mark.parametrize("name", NAMES)
    def test_a_context_with_a_zero_byte_is_refused(self, name: str, context: bytes) -> None:
        with pytest.raises(ConfigError, match="must not contain a zero byte"):
            select(name, KEY, context=context)

    def test_gcm_refuses_a_context(self) -> None:
        with pytest.raises(ConfigError, match="gcm cannot bind a context"):
            select("gcm", KEY, context=b"x")

    @pytest.mark.parametrize(
        "size", [-1, 0, MIN_SEGMENT_SIZE - 1, MAX_SEGMENT_SIZE + 1, 1 << 31, True, 4096.0, "4096", None]
    )
    def test_a_segment_size_out_of_range_or_of_another_type_is_refused(self, size: int) -> None:
        with pytest.raises(ConfigError, match=f"segment_size is 57 to {1 << 26} bytes"):
            select("tink-gcm-hkdf", KEY, segment_size=size)

    @pytest.mark.parametrize("size", [MIN_SEGMENT_SIZE, MAX_SEGMENT_SIZE])
    def test_the_first_and_the_last_segment_size_work(self, size: int) -> None:
        assert tink(size).unseal(tink(size).seal(b"plain" * 100)) == b"plain" * 100


@pytest.mark.parametrize("case", CASES, ids=str)
class TestEveryFormat:
    def test_what_is_sealed_is_opened_at_sizes_around_each_border(self, case: Case) -> None:
        for size in boundary_sizes(case.layout):
            plain = plain_bytes(size)
            sealed = case.seal(plain)
            assert len(sealed) == case.layout.sealed_size(size)
            assert case.unseal(sealed) == plain

    def test_another_key_opens_nothing(self, case: Case) -> None:
        for size in (0, 1, 5000):
            with pytest.raises(IntegrityError, match="wrong key"):
                case.open(case.seal(plain_bytes(size)), OTHER_KEY)

    def test_what_is_shorter_than_an_empty_message_is_refused(self, case: Case) -> None:
        for size in range(case.layout.min_sealed):
            with pytest.raises(IntegrityError):
                case.open(bytes(size))

    def test_no_secret_is_in_its_repr_and_it_does_not_pickle(self, case: Case) -> None:
        codec = case.codec()
        assert repr(codec) == f"<{type(codec).__name__} {codec.name}>"
        with pytest.raises(TypeError):
            pickle.dumps(codec)


class TestEncryptor:
    @pytest.fixture(params=[COBBLESTONE, TINK_4K, GCM], ids=str)
    def codec(self, request: pytest.FixtureRequest) -> Format:
        return request.param.codec()

    @pytest.fixture
    def encryptor(self, codec: Format) -> Encryptor:
        return codec.encryptor()

    @staticmethod
    def seal(encryptor: Encryptor, size: int, **options: bool) -> int:
        return encryptor.encrypt(
            memoryview(bytes(size)), memoryview(bytearray(encryptor.sealed_bound(size))), **options
        )

    def test_it_seals_one_object_only(self, encryptor: Encryptor) -> None:
        self.seal(encryptor, 10, final=True)
        for final in (True, False):
            with pytest.raises(ValueError, match="already finished"):
                self.seal(encryptor, 10, final=final)

    def test_only_the_final_run_may_end_inside_a_chunk(self, encryptor: Encryptor) -> None:
        with pytest.raises(ValueError, match="only the final run"):
            self.seal(encryptor, encryptor.layout.plain_start(1) + 1)
        with pytest.raises(ValueError, match="at least one chunk"):
            self.seal(encryptor, 0)

    def test_bound_is_enough_for_any_size(self, codec: Format) -> None:
        for size in boundary_sizes(codec.layout):
            encryptor = codec.encryptor()
            assert len(encryptor.header) + self.seal(encryptor, size, final=True) == codec.layout.sealed_size(size)

    def test_a_message_over_the_limit_is_refused_before_a_byte_of_it_is_sealed(self, codec: Format) -> None:
        encryptor = codec.encryptor()
        encryptor.sealed = encryptor.layout.max_plain - encryptor.layout.max_plain % encryptor.layout.chunk
        encryptor._next = encryptor.layout.index(encryptor.sealed)
        out = memoryview(bytearray(1 << 20))
        with pytest.raises(NotSupported, match=f"at most {encryptor.layout.max_plain} bytes"):
            encryptor.encrypt(memoryview(bytes(1 << 19)), out, final=True)
        assert not any(out)


class TestLimitsOfGcm:
    def test_an_object_over_64_gib_is_refused_by_its_size_alone(self) -> None:
        with pytest.raises(TruncatedObject, match="more than its format allows"):
            select("gcm", KEY).decryptor(bytes(12), 64 * GIB + 1)
        assert select("gcm", KEY).decryptor(bytes(12), 64 * GIB - 32 + 28).plain_size == 64 * GIB - 32

    def test_a_reader_refuses_it_after_the_first_request(self) -> None:
        class Huge:
            size = 64 * GIB + 1
            asked = 0

            def read_range(self, start: int, stop: int) -> bytes:
                self.asked += 1
                return bytes(stop - start)

            def close(self) -> None: ...

        source = Huge()
        with pytest.raises(TruncatedObject):
            connectors.open_reader(source, KEY, format="gcm")
        with pytest.raises(WrongKey, match='"format": "gcm"'):
            connectors.open_reader(source, KEY, format="auto")
        assert source.asked == 2

    def test_the_last_block_s_counter_is_within_its_32_bits(self) -> None:
        layout = select("gcm", KEY).layout
        last = layout.chunks(layout.max_plain) - 1
        assert 2 + last * (layout.chunk // 16) + layout.chunk // 16 - 3 < 1 << 32


class TestAuto:
    @pytest.mark.parametrize("size", range(28))
    @pytest.mark.parametrize("context", [b"", b"x"])
    def test_what_no_format_can_be_is_refused(self, size: int, context: bytes) -> None:
        with pytest.raises(TruncatedObject, match=f"has {size} bytes, fewer than the 28"):
            connectors.open_reader(io.BytesIO(bytes(size)), KEY, context=context)

    @pytest.mark.parametrize("size", [0, 16, 43, 44, 45, 10_000])
    def test_with_a_context_it_never_takes_gcm(self, size: int) -> None:
        with pytest.raises(WrongKey, match="gcm cannot bind a context"):
            connectors.open_reader(io.BytesIO(GCM.seal(bytes(size))), KEY, context=b"x")

    def test_with_a_context_it_never_tries_without(self) -> None:
        with pytest.raises(WrongKey, match="context"):
            connectors.open_reader(io.BytesIO(COBBLESTONE.seal(b"plain")), KEY, context=b"x")

    def test_a_proven_header_is_final(self) -> None:
        sealed = COBBLESTONE.seal(plain_bytes(20_000))
        for broken in (sealed[:-1], sealed[:16456], sealed + b"\0", sealed[:-1] + bytes([sealed[-1] ^ 1])):
            with pytest.raises(IntegrityError) as caught:
                AUTO.open(broken)
            assert "tag does not verify" not in str(caught.value)

    @pytest.mark.parametrize("size", range(100))
    def test_it_tells_the_two_apart_at_every_small_size(self, size: int) -> None:
        plain = plain_bytes(size)
        assert AUTO.unseal(COBBLESTONE.seal(plain)) == plain
        assert AUTO.unseal(GCM.seal(plain)) == plain

    def test_it_never_guesses_tink(self) -> None:
        with pytest.raises(IntegrityError):
            AUTO.open(TINK_4K.seal(b"plain"))


def ranges_of(sealed: bytes) -> Callable[[Iterable[tuple[int, int]]], Iterator[bytes]]:
    return lambda spans: (sealed[start:stop] for start, stop in spans)


class TestDecryptor:
    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_an_error_leaves_zeroes_in_the_buffer(self, case: Case) -> None:
        sealed = case.seal(plain_bytes(3 * case.layout.chunk))
        decryptor = case.codec().decryptor(sealed[:56], len(sealed))
        decryptor.authenticate(ranges_of(sealed))
        start, stop = decryptor.sealed_span(0, decryptor.chunks)
        out = memoryview(bytearray(b"\xee" * decryptor.plain_size))
        for position in (0, (stop - start) // 2, stop - start - 1):
            broken = bytearray(sealed[start:stop])
            broken[position] ^= 1
            out[:] = b"\xee" * len(out)
            with pytest.raises(IntegrityError):
                decryptor.decrypt_run(0, decryptor.chunks, memoryview(broken), out)
            assert not any(out)
        assert decryptor.decrypt_run(0, decryptor.chunks, memoryview(sealed)[start:stop], out) == len(out)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_a_run_of_another_length_is_refused_and_the_buffer_zeroed(self, case: Case) -> None:
        sealed = case.seal(plain_bytes(3 * case.layout.chunk))
        decryptor = case.codec().decryptor(sealed[:56], len(sealed))
        decryptor.authenticate(ranges_of(sealed))
        start, stop = decryptor.sealed_span(1, 1)
        for piece in (b"", sealed[start : stop - 1], sealed[start : stop + 1]):
            out = memoryview(bytearray(b"\xee" * decryptor.layout.chunk))
            with pytest.raises(TruncatedObject):
                decryptor.decrypt_run(1, 1, memoryview(piece), out)
            assert not any(out)

    def test_gcm_opens_nothing_before_all_of_it_is_authenticated(self) -> None:
        sealed = GCM.seal(b"plain")
        decryptor = GCM.codec().decryptor(sealed[:12], len(sealed))
        out = memoryview(bytearray(5))
        with pytest.raises(ValueError, match="authenticate"):
            decryptor.decrypt_run(0, 1, memoryview(sealed[12:-16]), out)
        assert not any(out)

    def test_gcm_authenticates_in_few_large_reads(self) -> None:
        sealed = GCM.seal(bytes(20 << 20))
        decryptor = GCM.codec().decryptor(sealed[:12], len(sealed))
        asked: list[int] = []

        def fetch(spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
            for start, stop in spans:
                asked.append(stop - start)
                yield sealed[start:stop]

        decryptor.authenticate(fetch)
        assert len(asked) == 1 + 5
        assert max(asked) == 4 << 20


def test_plain_is_no_name_but_reads_and_writes_bytes_as_they_are() -> None:
    codec = Plain()
    assert "plain" not in NAMES
    assert codec.layout.sealed_size(123) == codec.layout.plain_size(123) == 123
