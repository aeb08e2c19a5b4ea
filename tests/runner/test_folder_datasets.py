"""Datasets that are folders, as inputs and outputs of a command, and the names of their objects on disk."""

from __future__ import annotations

import io
import os
import unicodedata
from contextlib import contextmanager

import fsspec
import pytest
from lab import fails_early, python

from connectors import errors, runner
from connectors.system.local_names import check_names, folds_names


@pytest.fixture
def foldered(lab):
    """With a folder of two objects for input, and a folder for output."""
    for port, name in (("input", "wards"), ("output", "parts")):
        (lab.store / name).mkdir()
        lab.connect(port, name, location=(lab.store / name).as_uri() + "/")
    fs, path = lab.app["input"]["wards"].filesystem()
    fs.pipe_file(f"{path}/north/one.csv", b"37.2")
    fs.pipe_file(f"{path}/two.csv", b"38.9")
    return lab


def members(lab):
    fs, path = lab.app["output"]["parts"].filesystem()
    return {name.removeprefix(f"{path}/"): fs.cat_file(name) for name in fs.find(path)}


def test_a_folder_comes_as_a_folder_and_the_result_goes_into_one(foldered):
    code = "import os, sys; print(*(open(os.path.join(sys.argv[1], n)).read() for n in ('north/one.csv', 'two.csv')))"
    assert runner.run(foldered.app, python(code)).published == ("output/parts",)
    assert list(members(foldered)) == ["result.json"]
    assert runner.read_result(io.BytesIO(members(foldered)["result.json"])).stdout == b"37.2 38.9\n"


def test_folder_written_by_the_command_is_published_with_its_contents(foldered):
    code = """
        import os
        os.makedirs("a/b")
        for name in ("one", "a/two", "a/b/three"):
            open(name, "w").write(name)
    """
    command = ["sh", "-c", 'cd "$CONNECTORS_OUTPUTS" && mkdir out && cd out && exec "$0" -c "$1"', *python(code)[::2]]
    runner.run(foldered.app, command, outputs={"parts": "out"})
    assert members(foldered) == {"one": b"one", "a/two": b"a/two", "a/b/three": b"a/b/three"}


def test_bytes_of_a_folder_are_counted_as_they_pass(foldered):
    class Seen(fsspec.Callback):
        def call(self, hook_name=None, **kwargs):
            seen.append((self.size, self.value))

    @contextmanager
    def progress(description):
        yield Seen() if description.startswith("writing") else fsspec.Callback()

    code = """
        import os
        os.chdir(os.environ["CONNECTORS_OUTPUTS"])
        os.mkdir("out")
        for name, size in (("one", 5 << 20), ("two", 1000)):
            open("out/" + name, "wb").write(bytes(size))
    """
    seen = []
    runner.run(foldered.app, python(code), outputs={"parts": "out"}, progress=progress)
    total = (5 << 20) + 1000
    assert seen[0] == (total, 0)
    assert seen[-1] == (total, total)
    assert {size for size, _ in seen} == {total}
    assert len(seen) > 3  # more than one for each file


@pytest.mark.parametrize(
    ("code", "problem"), [("pass", "wrote no folder"), ("open(out, 'w')", "dataset is a folder, and .* is not")]
)
def test_a_folder_that_is_none_is_not_published(foldered, code, problem):
    with pytest.raises(errors.ConnectorError, match=problem):
        runner.run(
            foldered.app,
            python(f"import os; out = os.environ['CONNECTORS_OUTPUTS'] + '/out'; {code}"),
            outputs={"parts": "out"},
        )
    assert members(foldered) == {}


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        ("os.symlink(key, out + '/a/link')", "a/link is a link, which is not followed"),
        ("os.symlink(os.path.dirname(key), out + '/folder')", "folder is a link, which is not followed"),
        ("os.link(key, out + '/a/link')", "is also a file elsewhere, by a hard link"),
        ("os.mkfifo(out + '/pipe')", "pipe is not a regular file"),
        ("os.rename(out, out + '-'); os.symlink(os.path.dirname(key), out)", "has a link in it, which is not followed"),
    ],
)
def test_a_link_in_a_folder_of_outputs_is_an_error(foldered, tmp_path, make, problem):
    (tmp_path / "key").write_text("another owner's key")
    code = f"""
        import os
        key, out = {str(tmp_path / "key")!r}, os.environ["CONNECTORS_OUTPUTS"] + "/out"
        os.makedirs(out + "/a")
        {make}
    """
    with pytest.raises(errors.ConfigError, match=problem):
        runner.run(foldered.app, python(code), outputs={"parts": "out"})
    assert members(foldered) == {}


def test_two_names_of_one_file_in_a_folder_are_both_published(foldered):
    code = """
        import os
        os.chdir(os.environ["CONNECTORS_OUTPUTS"])
        os.mkdir("out")
        open("out/2026.csv", "w").write("37.2")
        os.link("out/2026.csv", "out/latest.csv")
    """
    runner.run(foldered.app, python(code), outputs={"parts": "out"})
    assert members(foldered) == {"2026.csv": b"37.2", "latest.csv": b"37.2"}


def test_a_tampered_member_stops_the_command_before_it_runs(foldered):
    (foldered.store / "wards" / "two.csv").write_bytes((foldered.store / "wards" / "north" / "one.csv").read_bytes())
    with pytest.raises(errors.WrongKey, match="input/wards"):
        runner.run(foldered.app, python("open('/tmp/never', 'x')"))
    assert members(foldered) == {}


def test_an_object_beside_a_folder_of_its_name_is_an_error_that_names_both(lab, monkeypatch):
    lab.connect("input", "wards", location="memory://run-names/wards/")
    lab.target("result")
    fs, path = lab.app["input"]["wards"].filesystem()
    fs.pipe_file(f"{path}/a/b", b"2")
    monkeypatch.setattr(type(fs), "find", lambda *_: [f"{path}/a", f"{path}/a/b"])  # as S3 lists them
    fails_early(lab, errors.ConfigError, "'wards/a' and 'wards/a/b' cannot both be files of one folder")
    assert lab.untouched("result")


ALIKE = [("x/Ward", "x/ward"), ("é", "e\u0301"), ("STRASSE", "straße"), ("A/x/y", "a/x"), ("Å", "\u212b")]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_a_filesystem_equates_are_an_error_there_alone(one, other):
    with pytest.raises(errors.ConfigError, match="cannot both be files of one folder") as caught:
        check_names(["other", one, other], folds=True)
    for name in (one, other):
        assert (repr(name) if unicodedata.is_normalized("NFC", name) else ascii(name)) in str(caught.value)
    check_names(["other", one, other], folds=False)


def test_names_that_differ_enough_are_good():
    check_names(["a", "ab", "a.b/c", "b/a", "b/c/a"], folds=True)


def test_a_filesystem_that_folds_is_asked_and_leaves_no_trace(tmp_path, monkeypatch):
    assert not folds_names(str(tmp_path))
    real = os.path.lexists
    monkeypatch.setattr(os.path, "lexists", lambda path: real(path.lower()))
    assert folds_names(str(tmp_path))
    assert os.listdir(tmp_path) == []
