"""The files that a command wrote, and outputs that cannot be published."""

from __future__ import annotations

import errno

import pytest
from lab import Lab, python

from connectors import errors, runner
from connectors.runner import job

# Files of the command's.

WRITE = """
    import os
    with open(os.path.join(os.environ["CONNECTORS_OUTPUTS"], "table.csv"), "w") as file:
        file.write("a,b")
    print("done")
"""


@pytest.fixture
def table(wired):
    wired.target("table")
    return wired


def test_a_file_of_the_command_s_is_published_in_the_place_of_the_result(table):
    done = runner.run(table.app, python(WRITE), outputs={"table": "table.csv"})
    assert done == runner.RunResult(0, ("output/result", "output/table"))
    assert table.plain("table") == b"a,b"
    assert table.result().stdout == b"done\n"


def test_an_absolute_path_is_taken_as_it_is_and_stays(table, tmp_path):
    path = tmp_path / "made.csv"
    runner.run(table.app, python("import sys; open(sys.argv[1], 'w').write('x,y')", str(path)), outputs={"table": path})
    assert table.plain("table") == b"x,y"
    assert path.read_text() == "x,y"


def test_an_output_port_can_be_all_files(table):
    done = runner.run(table.app, python(WRITE), outputs={"table": "table.csv", "result": "table.csv"})
    assert done.published == ("output/result", "output/table")
    assert table.plain("result") == table.plain("table") == b"a,b"


def test_a_command_that_fails_has_no_file_published(table):
    done = runner.run(table.app, python(WRITE + "\n    raise SystemExit(3)"), outputs={"table": "table.csv"})
    assert done == runner.RunResult(3, ("output/result",), ("output/table",))
    assert table.untouched("table")
    assert table.result().returncode == 3


def test_missing_file_names_the_dataset_and_others_are_written(table):
    with pytest.raises(errors.ConnectorError, match=r"^output/table: .* wrote no file .*/outputs/none\.csv") as caught:
        runner.run(table.app, python(WRITE), outputs={"table": "none.csv"})
    assert caught.value.__notes__ == ["These were written: output/result."]
    assert table.untouched("table")
    assert table.result().returncode == 0


def test_a_file_that_the_command_did_not_touch_is_not_published(table, tmp_path):
    old = tmp_path / "old.csv"
    old.write_text("of last week")
    with pytest.raises(errors.ConnectorError, match="output/table: .* did not change the file"):
        runner.run(table.app, python("pass"), outputs={"table": old})
    assert table.untouched("table")
    runner.run(
        table.app, python("import sys; open(sys.argv[1], 'w').write('of last week')", str(old)), outputs={"table": old}
    )
    assert table.plain("table") == b"of last week"


@pytest.mark.parametrize("make", ["os.mkdir(p)", "os.mkfifo(p)"])
def test_what_is_no_file_is_not_published(table, make):
    code = f"import os; p = os.environ['CONNECTORS_OUTPUTS'] + '/table.csv'; {make}"
    with pytest.raises(errors.ConfigError, match=r"output/table: .*table\.csv is not a regular file"):
        runner.run(table.app, python(code), outputs={"table": "table.csv"})
    assert table.untouched("table")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        ("os.symlink(key, out + '/table.csv')", "has a link in it, 'table.csv', which is not followed"),
        ("os.link(key, out + '/table.csv')", "is also a file elsewhere, by a hard link"),
        ("os.rename(out, out + '-'); os.symlink(os.path.dirname(key), out)", "has a link in it, 'outputs'"),
        ("s = socket.socket(socket.AF_UNIX); os.chdir(out); s.bind('table.csv')", "is not a regular file"),
    ],
)
def test_a_link_is_not_followed_out_of_the_outputs(table, tmp_path, make, problem):
    (tmp_path / "table.csv").write_text("another owner's key")
    code = f"import os, socket; key, out = {str(tmp_path / 'table.csv')!r}, os.environ['CONNECTORS_OUTPUTS']; {make}"
    with pytest.raises(errors.ConfigError, match=problem):
        runner.run(table.app, python(code), outputs={"table": "table.csv"})
    assert table.untouched("table")


def test_a_link_in_an_absolute_path_is_followed_only_if_the_command_did_not_make_it(table, tmp_path):
    (tmp_path / "made").mkdir()
    (tmp_path / "given").symlink_to(tmp_path / "made")
    path = tmp_path / "given" / "table.csv"
    runner.run(table.app, python("import sys; open(sys.argv[1], 'w').write('x,y')", str(path)), outputs={"table": path})
    assert table.plain("table") == b"x,y"
    code = "import os, sys; os.remove(sys.argv[1]); os.symlink('/etc/hostname', sys.argv[1])"
    with pytest.raises(errors.ConfigError, match="which is not followed"):
        runner.run(table.app, python(code, str(path)), outputs={"table": path})
    assert table.plain("table") == b"x,y"


# Outputs that fail when it comes to it.


def break_output(lab: Lab, name: str) -> str:
    """Return code that puts a folder in the place of an output, so that it cannot be written any more."""
    path = lab.app["output"][name].location.removeprefix("file://")
    return f"import os; os.unlink({path!r}); os.mkdir({path!r});"


def test_one_output_that_fails_does_not_keep_the_others_from_being_written(lab):
    lab.put("conditions")
    for name in ("a", "b", "c"):
        lab.target(name)
    with pytest.raises(errors.NotAnObject, match="output/b: ") as caught:
        runner.run(lab.app, python(break_output(lab, "b") + "print('hello')"))
    assert caught.value.__notes__ == ["These were written: output/a, output/c."]
    assert lab.result("a") == lab.result("c") == runner.Result(0, b"hello\n", b"")


def test_several_outputs_that_fail_are_all_named(lab):
    lab.put("conditions")
    for name in ("a", "b", "c"):
        lab.target(name)
    with pytest.raises(runner.NotPublished) as caught:
        runner.run(lab.app, python(break_output(lab, "a")), outputs={"c": "none"})
    message = str(caught.value)
    assert message.startswith("output/a: ")
    assert "; output/c: the command succeeded but wrote no file " in message
    assert message.endswith("; these were written: output/b")
    assert {name: type(one) for name, one in caught.value.problems.items()} == {
        "output/a": errors.NotAnObject,
        "output/c": errors.ConnectorError,
    }


def test_what_a_storage_library_says_is_not_repeated(lab, monkeypatch):
    lab.put("conditions")
    lab.target("a")
    lab.target("b")
    secrets = iter([RuntimeError("https://host/x?sig=hush"), OSError(errno.ENOSPC, "sig=hush")])

    def refuse(*_):
        raise next(secrets)

    monkeypatch.setattr(job._Publication, "write", refuse)
    with pytest.raises(runner.NotPublished) as caught:
        runner.run(lab.app, python("pass"))
    assert str(caught.value) == "output/a: RuntimeError; output/b: No space left on device"


def test_expired_credentials_are_reread_from_the_app_config_once(wired, monkeypatch):
    real, calls = job._Publication.write, []

    def expired_at_first(publication, name, callback):
        calls.append(name)
        if len(calls) == 1:
            raise errors.CredentialsExpired("over")
        real(publication, name, callback)

    moved = wired.store / "moved"
    location = wired.root / "output" / "result" / "dataset" / "location.txt"
    monkeypatch.setattr(job._Publication, "write", expired_at_first)
    runner.run(
        wired.app, python("import sys; open(sys.argv[1], 'w').write(sys.argv[2])", str(location), moved.as_uri())
    )
    assert moved.exists()
    assert calls == ["result"] * 2


def test_credentials_that_are_still_expired_are_an_error(wired, monkeypatch):
    def expired(*_):
        raise errors.CredentialsExpired("over")

    monkeypatch.setattr(job._Publication, "write", expired)
    with pytest.raises(errors.CredentialsExpired):
        runner.run(wired.app, python("pass"))
