"""The contract of credentials: each dataset has its own, and secrets are never shown."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import connectors
from connectors.errors import AccessDenied, CredentialsExpired, IntegrityError, StorageError
from connectors.testing.tools import (
    CHUNK,
    KEY,
    OTHER_KEY,
    Contract,
    Heard,
    dataset,
    everything_about,
    in_child,
    lay_down,
    leaks,
    plain,
    sealed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.testing.store import Store

__all__ = ["AccessContract"]


def read_all(*given: connectors.Dataset) -> list[bytes]:
    """Return the bytes of datasets; a module-level function, so that it can be pickled."""
    return [one.read_bytes() for one in given]


class AccessContract(Contract):
    """The contract of credentials: each dataset has its own, in every process, and secrets are never shown."""

    def test_two_datasets_never_mix(self, store: Store, name: str) -> None:
        store.put(f"{name}/one", sealed(b"one"))
        store.put(f"{name}/two", sealed(b"two", OTHER_KEY))

        def read(number: int) -> bytes:
            which, key = [("one", KEY), ("two", OTHER_KEY)][number % 2]
            return dataset(store.connection(f"{name}/{which}"), key=key).read_bytes()

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(read, range(16))) == [b"one", b"two"] * 8
        with pytest.raises(IntegrityError):
            dataset(store.connection(f"{name}/one"), key=OTHER_KEY).read_bytes()

    def test_refused_credentials_raise_access_denied(self, store: Store, name: str) -> None:
        refused = store.denied(name)
        if refused is None:
            return
        store.put(name, sealed(b"37.2"))
        given = dataset(refused)
        with pytest.raises(AccessDenied) as error:
            given.read_bytes()
        assert leaks(given, error.value) == []
        with pytest.raises(AccessDenied) as error:
            given.write_bytes(b"x")
        assert leaks(given, error.value) == []

    def test_expired_credentials_raise_credentials_expired(self, store: Store, name: str) -> None:
        store.put(name, before := sealed(b"37.2"))
        reading, writing = store.expired(name), store.expired(name, write=True)
        if reading is None or writing is None:
            return
        with pytest.raises(CredentialsExpired) as error:
            dataset(reading).read_bytes()
        assert leaks(dataset(reading), error.value) == []
        with pytest.raises(CredentialsExpired) as error:
            dataset(writing).write_bytes(b"x")
        assert leaks(dataset(writing), error.value) == []
        assert store.get(name) == before

    def test_refresh_reads_renewed_credentials(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(f"{name}/one", sealed(b"one"))
        store.put(f"{name}/two", sealed(b"two"))
        given = lay_down(tmp_path, store.connection(f"{name}/one"))
        assert given.read_bytes() == b"one"
        lay_down(tmp_path, store.connection(f"{name}/two"))
        given.refresh()
        assert given.read_bytes() == b"two"

    # Other processes.

    def test_dataset_of_an_app_config_pickles_by_name(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(name, sealed(b"37.2"))
        given = lay_down(tmp_path, store.connection(name))
        assert given.read_bytes() == b"37.2"
        sent = pickle.dumps((given, given.filesystem()[0]))
        assert leaks(given, sent) == []
        copy, fs = pickle.loads(sent)  # noqa: S301 - our own
        assert copy.read_bytes() == fs.cat_file(given.filesystem()[1]) == b"37.2"

    def test_dataset_with_its_own_credentials_does_not_pickle(self, store: Store, name: str) -> None:
        given = dataset(store.connection(name))
        for one in (given, given.filesystem()[0], given.filesystem()[0].fs if given.credentials.encryption else None):
            if one is not None and leaks(given, _sent(one)):
                pytest.fail(f"a pickled {type(one).__name__} holds a secret")
        with pytest.raises(TypeError, match="does not pickle"):
            pickle.dumps(given)

    @pytest.mark.parametrize("context", ["fork", "spawn"])
    def test_other_processes_read_the_same(self, store: Store, name: str, tmp_path: Path, context: str) -> None:
        data, other = plain(10 * CHUNK), plain(10 * CHUNK, seed=1)
        store.put(f"{name}/one", sealed(data))
        store.put(f"{name}/two", sealed(other, OTHER_KEY))
        one = lay_down(tmp_path, store.connection(f"{name}/one"), name="one")
        two = lay_down(tmp_path, store.connection(f"{name}/two"), name="two", key=OTHER_KEY)
        assert read_all(one, two) == [data, other]  # connections are open now
        assert in_child(context, read_all, two, one) == [other, data]
        assert read_all(one, two) == [data, other]

    # Secrets.

    def test_secrets_are_shown_nowhere(self, store: Store, name: str, tmp_path: Path) -> None:
        store.put(name, sealed(plain(3 * CHUNK)))
        with Heard() as heard:
            given = lay_down(tmp_path, store.connection(name))
            fs, path = given.filesystem()
            given.read_bytes()
            fs.info(path)
            writing = dataset(store.connection(f"{name}-2", write=True))
            writing.write_bytes(b"37.2")
            errors: list[BaseException] = []
            for missing in (lambda: dataset(store.connection(f"{name}-none")).read_bytes(), lambda: fs.info("/none")):
                with pytest.raises(Exception) as error:  # noqa: PT011 - whatever it is, it holds no secret
                    missing()
                errors.append(error.value)
        store.tidy(f"{name}-2")
        shown = [
            given,
            given.credentials,
            *everything_about(fs),
            *everything_about(fs.fs),
            *errors,
            "\n".join(heard.lines),
        ]
        assert leaks(given, *shown) == []
        assert leaks(writing, *shown, writing, *everything_about(writing.filesystem()[0].fs)) == []

    def test_all_errors_are_connector_errors(self, store: Store, name: str) -> None:
        with pytest.raises(connectors.errors.ConnectorError) as error:
            dataset(store.connection(name)).read_bytes()
        assert isinstance(error.value, StorageError)
        assert error.value.__context__ is None or isinstance(error.value.__context__, connectors.errors.ConnectorError)


def _sent(one: object) -> bytes:
    try:
        return pickle.dumps(one)
    except TypeError:
        return b""
