"""Every consumer, on every kind of dataset, while its storage lies: the right result, or an error."""

from __future__ import annotations

import itertools
import json
import shutil
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from attacks import RIGHT
from consumers import FOLDER, OBJECT, TRUTH, CommandFailed, RanAnyway, fill, whole
from lying import NO_LIE, Lie, lying

import connectors
from connectors.cli.common.exit_codes import CHECK_FAILED, TAMPERED
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import pytest
    from attacks import Tally

__all__ = ["KINDS", "Matrix"]

KEY = "5a" * 32
KINDS = {
    "object": ("object", {}),
    "pinned object": ("object", {"pin": True}),
    "folder": ("folder", {}),
    "folder with a manifest": ("folder", {"manifest": True}),
    "pinned folder": ("folder", {"manifest": True, "pin": True}),
}
"""The kinds of datasets: where each lies, and its encryption."""
VICTIMS = ("2", "2.csv", "2.parquet", "whole.csv", "csv", "parquet", "c")
"""The last parts of the paths that are lied about: one object of each folder, and the folders themselves."""
FEWER = "fewer rows: only a manifest tells"
_numbers = itertools.count()


@dataclass
class Matrix:
    """The datasets of one storage.

    Args:
        place: returns location and credentials document of a name; a folder's name ends in a slash.
        backend: the backend's class, whose filesystems tell the lies.
        root: a folder for app configs.
    """

    place: Callable[[str], tuple[str, dict[str, Any]]]
    backend: type
    root: Path
    lie: Lie = NO_LIE
    pins: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, options in (("object", {}), ("folder", {}), ("sealed", {"manifest": True})):
            fs, path = self._dataset(name, **options).filesystem()
            if name == "object":
                fs.pipe_file(path, whole())
                with fs.open(path) as file:
                    self.pins[name] = file.raw.pin
            else:
                fill(fs, path)
        self.pins["sealed"] = self._dataset("sealed", manifest=True).filesystem()[0].pin

    def _dataset(self, name: str, **encryption: Any) -> connectors.Dataset:
        location, document = self.place("whole.csv" if name == "object" else f"{name}/")
        return connectors.Dataset(location, {**document, "encryption": {"key": KEY, **encryption}})

    def lies(self, monkeypatch: pytest.MonkeyPatch, lie: Lie) -> None:
        """Have the backend's filesystems tell a lie from now on."""
        connect = self.backend.connect  # type: ignore[attr-defined]
        self.lie = NO_LIE

        def told(path: str) -> Lie:
            return self.lie if path.rstrip("/").rpartition("/")[2] in VICTIMS else NO_LIE

        def connect_to_liar(backend: Any, location: str, credentials: Any) -> tuple[Any, str]:
            fs, path = connect(backend, location, credentials)
            return lying(fs, told), path

        monkeypatch.setattr(self.backend, "connect", connect_to_liar)
        self.lie = lie

    def app_config(self, kind: str) -> Path:
        """Return an app config with one dataset of a kind, ``input/table``, and an output on this machine."""
        shape, encryption = KINDS[kind]
        manifest = encryption.get("manifest", False)
        name = "sealed" if manifest else shape
        location, document = self.place("whole.csv" if name == "object" else f"{name}/")
        sealing: dict[str, Any] = {"key": KEY}
        if manifest:
            sealing["manifest"] = True
        if encryption.get("pin"):
            sealing["pin"] = self.pins[name]
        root = self.root / f"app-{next(_numbers)}"
        for name, there, credentials in (
            ("input/table", location, {**document, "encryption": sealing}),
            ("output/result", f"file://{root}/result.sealed", {"encryption": {"key": KEY}}),
        ):
            folder = root / name / "dataset"
            folder.mkdir(parents=True)
            (folder / "location.txt").write_text(there)
            (folder / "credentials.bin").write_text(json.dumps(credentials))
        return root

    def cells(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str, Callable[[], Any]]]:
        """Yield each kind with each of its consumers."""
        for kind, (shape, _) in KINDS.items():
            for name, consume in (OBJECT if shape == "object" else FOLDER).items():
                monkeypatch.setenv("CONNECTORS_APP_CONFIG", str(self.app_config(kind)))
                tmp = tmp_path / f"cell-{next(_numbers)}"
                tmp.mkdir()
                yield kind, name, lambda consume=consume, tmp=tmp: consume("input/table", tmp)
                shutil.rmtree(tmp)

    def run(self, lie: Lie, tally: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Try a lie on all cells; return what went wrong."""
        self.lies(monkeypatch, lie)
        wrong = []
        for kind, name, consume in self.cells(tmp_path, monkeypatch):
            found, outcome = None, RIGHT
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = consume()
            except Exception as error:  # noqa: BLE001 - each library has errors of its own; ours must be in them
                outcome = "an error of ours" if _is_ours(error) else f"{type(error).__name__}"
                foreign = outcome != "an error of ours" and not _is_told(kind, lie)
                if lie is NO_LIE or foreign or not _ends_well(error, kind, lie):
                    wrong.append(f"{kind}, {name}: {type(error).__name__}: {error}"[:300])
            else:
                if found != TRUTH:
                    outcome = FEWER
                    if not _is_told(kind, lie):
                        wrong.append(f"{kind}, {name}: {found} in place of {TRUTH}")
            tally.count(outcome if outcome in (RIGHT, FEWER, "an error of ours") else "an error of the library's")
        return wrong


def _ends_well(error: Exception, kind: str, lie: Lie) -> bool:
    """Return whether a command has the exit code of its error, and `connectors run` has not run its command."""
    if isinstance(error, CommandFailed):
        proven = "pinned" in kind or "manifest" in kind  # what is missing or added was there, or was not
        return error.code == (lie.code or (TAMPERED if proven else CHECK_FAILED))
    return not isinstance(error, RanAnyway)


def _is_told(kind: str, lie: Lie) -> bool:
    """Return whether the documentation tells that the lie is not detected on this kind of dataset."""
    return lie.omits and "object" not in kind and "manifest" not in kind and "pinned" not in kind


def _is_ours(error: BaseException) -> bool:
    """Return whether an error is one of ours, or says so: DuckDB passes on only the text of a Python error."""
    seen: set[int] = set()
    chain: list[BaseException | None] = [error]
    while chain:
        one = chain.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, ConnectorError) or "input/table" in str(one):
            return True
        chain += [one.__cause__, one.__context__]
    return False
