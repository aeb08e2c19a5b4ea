"""The registry of backends: found by entry point, refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import connectors
from connectors.errors import BackendNotFound, InvalidLocation
from connectors.storage import registry
from connectors.storage.registry import for_scheme, resolve, scheme_of

BACKEND = """
from typing import Literal
import connectors
from fsspec.implementations.memory import MemoryFileSystem

class {name}Credentials(connectors.Credentials):
    type: Literal["{type}"] = "{type}"

class {name}(connectors.Backend):
    name = "{type}"
    schemes = {schemes!r}
    Credentials = {name}Credentials

    def connect(self, location, credentials):
        return MemoryFileSystem(), location.partition("://")[2]
"""


CLASS = "import connectors\nclass Mine(connectors.Backend):\n    def connect(self, *_): ..."
HINTS = f"{CLASS}\n    name = 'shelf'\n    schemes = ('shelf',)\n    Credentials = connectors.Credentials"
MODEL = "import connectors\nfrom typing import ClassVar, Any\nclass Model(connectors.Credentials):"


def install(
    folder: Path, distribution: str, module: str, type_: str, schemes: tuple[str, ...], code: str = BACKEND
) -> None:
    """Lay a distribution down as an installer does: a module, and its metadata."""
    (folder / f"{module}.py").write_text(
        code.format(name="Mine", type=type_, schemes=schemes) if code is BACKEND else code
    )
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[connectors.backends]\n{type_} = {module}:Mine\n")


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); import connectors; {code}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)


USE = "d = connectors.Dataset({location!r}, {{'encryption': {{'key': '00' * 32}}}}); d.write_bytes(b'37.2'); print(d.read_bytes())"


def test_installed_backends_say_where_they_come_from():
    found = {backend.name: backend for backend in connectors.backends()}
    assert found["file"].distribution == found["memory"].distribution == "enclave-connectors"
    assert found["https"].distribution == "enclave-connectors-https"
    assert found["https"].schemes == ("https", "http")
    assert found["s3"].schemes == ("s3",)
    assert all(backend.problem is None for backend in found.values())


def test_another_distributions_backend_is_found(tmp_path):
    install(tmp_path, "shelf-for-connectors", "shelf_backend", "shelf", ("shelf",))
    done = run(tmp_path, USE.format(location="shelf://room/object"))
    assert done.stdout == "b'37.2'\n", done.stderr


def test_scheme_and_members_known_from_another_tool_are_explained(tmp_path):
    install(
        tmp_path,
        "shelf-for-connectors",
        "shelf_backend",
        "shelf",
        ("shelf",),
        f"{MODEL}\n    member_prefixes: ClassVar[Any] = ('ibm',)\n    type: str = 'shelf'\n    token: str\n"
        f"{HINTS}\n    aliases = {{'rack': 'shelf'}}\n    Credentials = Model",
    )
    told = run(tmp_path, "connectors.Dataset('rack://room/x', {'encryption': None})").stderr
    assert "BackendNotFound: no installed backend serves the scheme 'rack'; did you mean shelf?" in told
    told = run(tmp_path, "connectors.Dataset('shelf://room/x', {'IBM_TOKEN': 'x', 'encryption': None})").stderr
    assert "credentials.IBM_TOKEN: unknown member; did you mean token?" in told


def test_two_claims_to_one_scheme_are_refused_by_name(tmp_path):
    install(tmp_path, "alpha-shelf", "alpha", "alpha", ("shelf",))
    install(tmp_path, "beta-shelf", "beta", "beta", ("shelf",))
    done = run(tmp_path, USE.format(location="shelf://room/object"))
    assert "BackendConflict: alpha-shelf 1.0 and beta-shelf 1.0 both claim the scheme 'shelf'" in done.stderr
    assert run(tmp_path, USE.format(location="memory://a/b")).stdout == "b'37.2'\n"


def test_claim_to_a_scheme_of_ours_is_refused_by_name(tmp_path):
    install(tmp_path, "evil", "evil", "evil", ("file",))
    done = run(tmp_path, USE.format(location="file:///tmp/x"))
    assert "BackendConflict: enclave-connectors 0.1.0 and evil 1.0 both claim the scheme 'file'" in done.stderr


def test_two_claims_to_one_type_are_refused_by_name(tmp_path):
    install(tmp_path, "alpha-shelf", "alpha", "shelf", ("alpha",))
    install(tmp_path, "beta-shelf", "beta", "shelf", ("beta",))
    code = "connectors.Dataset('alpha://a/b', {'type': 'shelf', 'encryption': None})"
    assert "alpha-shelf 1.0 and beta-shelf 1.0 both claim the credentials type 'shelf'" in run(tmp_path, code).stderr


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("raise ImportError('libshelf is missing')", "ImportError: libshelf is missing"),
        ("Mine = 7", "broken:Mine is not a Backend called 'shelf'"),
        ("", "has no attribute 'Mine'"),
        (f"{CLASS}\n    name = 'other'", "broken:Mine is not a Backend called 'shelf'"),
        (CLASS, "broken:Mine is not a Backend called 'shelf'"),
        (f"{CLASS}\n    name = 'shelf'", "broken:Mine has no tuple of schemes"),
        (f"{CLASS}\n    name = schemes = 'shelf'", "broken:Mine has no tuple of schemes"),
        (f"{CLASS}\n    name = 'shelf'\n    schemes = ('shelf',)", "broken:Mine has no Credentials model"),
        (f"{HINTS}\n    aliases = 'shelves'", "broken:Mine has aliases that are not a mapping of schemes"),
        (f"{HINTS}\n    aliases = {{7: 'shelf'}}", "broken:Mine has aliases that are not a mapping of schemes"),
        (f"{HINTS}\n    aliases = {{'rack': 'racks'}}", "broken:Mine has aliases for schemes that it does not serve"),
        (
            f"{MODEL}\n    member_prefixes: ClassVar[Any] = 'ibm'\n{HINTS}\n    Credentials = Model",
            "broken:Mine has Credentials whose member_prefixes are not a tuple of text",
        ),
    ],
)
def test_broken_backend_disturbs_no_other(tmp_path, code, problem):
    install(tmp_path, "broken-shelf", "broken", "shelf", (), code)
    shown = run(tmp_path, "print(*(b.problem for b in connectors.backends() if b.name == 'shelf'))").stdout
    assert problem in shown
    assert run(tmp_path, USE.format(location="memory://a/b")).stdout == "b'37.2'\n"
    wanted = "connectors.Dataset('shelf://a/b', {'type': 'shelf', 'encryption': None})"
    told = run(tmp_path, wanted).stderr
    assert "BackendNotFound: broken-shelf is installed but cannot be used: " in told
    assert problem in told


def test_distribution_with_damaged_metadata_disturbs_no_other(tmp_path):
    install(tmp_path, "shelf-for-connectors", "shelf_backend", "shelf", ("shelf",))
    (tmp_path / "shelf_backend-1.0.dist-info" / "METADATA").write_text("")
    install(tmp_path, "other-shelf", "other_backend", "shelf", ("other",))
    assert run(tmp_path, USE.format(location="memory://a/b")).stdout == "b'37.2'\n"
    assert run(tmp_path, USE.format(location="shelf://a/b")).stdout == "b'37.2'\n"


@pytest.mark.parametrize(
    ("scheme", "distribution"),
    [("abfs", "enclave-connectors-azure"), ("gs", "enclave-connectors-gcs"), ("sftp", "enclave-connectors-sftp")],
)
def test_missing_plugin_is_named(scheme, distribution, monkeypatch):
    core = tuple(one for one in registry._installed() if one.distribution == "enclave-connectors")
    monkeypatch.setattr(registry, "_installed", lambda: core)
    with pytest.raises(BackendNotFound, match=f"install it with: pip install {distribution}"):
        for_scheme(scheme)


def test_unknown_scheme_and_type_are_answered_with_what_may_be_meant():
    with pytest.raises(BackendNotFound, match="serves the scheme 'ftp'; did you mean sftp"):
        resolve("ftp://host/x", {"encryption": None})
    with pytest.raises(BackendNotFound, match=r"credentials type 'azuer'; did you mean azure\?"):
        resolve("https://host/x", json.dumps({"type": "azuer", "encryption": None}))


@pytest.mark.parametrize("location", ["", "conditions.csv", "/data/x", "C:\\data", "file:", "://x", "https://"])
def test_location_needs_a_scheme(location):
    with pytest.raises(InvalidLocation, match="is not a URL; "):
        scheme_of(location)


def test_scheme_is_no_matter_of_case():
    assert scheme_of("HTTPS://host/x") == "https"
