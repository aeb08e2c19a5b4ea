"""A command on the inputs: what it sees, what is published, and what is left behind, which is nothing."""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
import unicodedata
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE, until

import connectors
from connectors import errors, runner
from connectors._fsspec import Callback
from connectors.runner import command as command_module
from connectors.runner import folder as folder_module
from connectors.runner import job, supervisor
from connectors.system.local_names import check_names, folds_names

KEY, OUT_KEY = "5E" * 32, "0A" * 32
BEFORE = b"what stood there before"
EVERY_BYTE = bytes(range(256))


class Lab:
    """An application in a folder: its app config, its storage, and the place for its private folders."""

    def __init__(self, home: Path) -> None:
        self.root, self.store, self.private = home / "config", home / "store", home / "tmp"
        for folder in (self.root, self.store, self.private):
            folder.mkdir()

    @property
    def app(self) -> connectors.AppConfig:
        return connectors.load(self.root)

    def connect(
        self, port: str, name: str, *, key: str | None = KEY, location: str | None = None, **encryption
    ) -> Path:
        folder = self.root / port / name / "dataset"
        folder.mkdir(parents=True)
        path = self.store / f"{port}-{len(list(self.store.iterdir()))}.sealed"
        path.touch()
        (folder / "location.txt").write_text(location or path.as_uri())
        document = {"encryption": {"key": key, **encryption} if key else None}
        (folder / "credentials.bin").write_text(json.dumps(document))
        return path

    def put(self, name: str, data: bytes = b"plain", **options) -> Path:
        path = self.connect("input", name, **options)
        self.app["input"][name].write_bytes(data)
        return path

    def target(self, name: str, **options) -> Path:
        path = self.connect("output", name, key=OUT_KEY, **options)
        self.app["output"][name].write_bytes(BEFORE)
        return path

    def plain(self, name: str) -> bytes:
        return self.app["output"][name].read_bytes()

    def result(self, name: str = "result") -> runner.Result:
        return runner.read_result(io.BytesIO(self.plain(name)))

    def untouched(self, *names: str) -> bool:
        return all(self.plain(name) == BEFORE for name in names)

    def left(self) -> list[str]:
        return os.listdir(self.private)


@pytest.fixture
def lab(tmp_path, monkeypatch):
    lab = Lab(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(lab.private))
    yield lab
    assert lab.left() == []
    assert [path.name for path in lab.store.iterdir() if path.name.endswith(".part")] == []


@pytest.fixture
def wired(lab):
    """With one input and one output."""
    lab.put("conditions")
    lab.target("result")
    return lab


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code), *arguments]


SHOW_INPUTS = """
    import sys
    for path in sys.argv[1:]:
        sys.stdout.buffer.write(open(path, "rb").read())
"""


# What the command sees.


def test_command_gets_plain_inputs_as_last_arguments_sorted_by_name(lab):
    for name in ("Klinik Süd", "a b", "-rf", "c;echo $HOME", "z" * 250):
        lab.put(name, f"[{name}]".encode())
    lab.target("result")
    done = runner.run(lab.app, python("import os, sys; print([os.path.basename(a) for a in sys.argv[1:]])", "first"))
    assert done.returncode == 0
    assert eval(lab.result().stdout) == ["first", "-rf", "Klinik Süd", "a b", "c;echo $HOME", "z" * 250]
    runner.run(lab.app, python(SHOW_INPUTS))
    assert lab.result().stdout.decode() == "".join(
        f"[{n}]" for n in ("-rf", "Klinik Süd", "a b", "c;echo $HOME", "z" * 250)
    )


def test_the_inputs_lie_in_folders_and_files_that_only_their_user_can_open(wired):
    code = """
        import os, stat, sys
        inputs, outputs = os.environ["CONNECTORS_INPUTS"], os.environ["CONNECTORS_OUTPUTS"]
        assert os.path.dirname(sys.argv[1]) == inputs
        assert os.listdir(outputs) == []
        for path in (os.path.dirname(inputs), inputs, outputs, sys.argv[1]):
            print(oct(stat.S_IMODE(os.stat(path).st_mode)))
    """
    previous = os.umask(0)
    try:
        assert runner.run(wired.app, python(code)).returncode == 0
    finally:
        os.umask(previous)
    assert wired.result().stdout.split() == [b"0o700", b"0o700", b"0o700", b"0o600"]


def test_command_inherits_no_secrets_by_environment_or_descriptors(wired):
    code = """
        import os, sys
        print(sorted(set(os.environ) - set(sys.argv[1].split(","))))
        print([n for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")])
        print(os.getcwd(), os.environ)
    """
    runner.run(wired.app, python(code, ",".join(os.environ)))
    ours, descriptors, rest = wired.result().stdout.decode().split("\n", 2)
    # Python adds the last two itself, for some locales.
    assert set(eval(ours)) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {"CONNECTORS_INPUTS", "CONNECTORS_OUTPUTS"}
    assert eval(descriptors) == []
    assert rest.startswith(os.getcwd())
    for key in (KEY, OUT_KEY):
        assert key.lower() not in rest.lower()


def test_the_caller_s_variables_and_standard_input_are_the_command_s(wired, monkeypatch):
    monkeypatch.setenv("WARD", "seven")
    reading, writing = os.pipe()
    os.write(writing, b"typed")
    os.close(writing)
    kept = os.dup(0)
    os.dup2(reading, 0)
    try:
        runner.run(wired.app, python("import os, sys; print(os.environ['WARD'], sys.stdin.read(), end='')"))
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(reading)
    assert wired.result().stdout == b"seven typed"


def test_progress_is_told_of_every_input_and_output(wired):
    seen: list[tuple[str, Callback]] = []

    @contextmanager
    def progress(description):
        seen.append((description, Callback()))
        yield seen[-1][1]

    runner.run(wired.app, python(SHOW_INPUTS), progress=progress)
    assert [description for description, _ in seen] == ["reading input/conditions", "writing output/result"]
    assert [(one.size, one.value) for _, one in seen] == [(5, 5), (len(wired.plain("result")),) * 2]


# The result.


def test_the_result_is_the_article_s_json_to_the_byte(wired):
    code = "import sys; sys.stdout.buffer.write(bytes(range(256))); sys.stderr.buffer.write(bytes(range(255, -1, -1)))"
    done = runner.run(wired.app, python(code))
    assert done == runner.RunResult(0, ("output/result",))
    expected = {
        "returncode": 0,
        "stdout": base64.b64encode(EVERY_BYTE).decode(),
        "stderr": base64.b64encode(EVERY_BYTE[::-1]).decode(),
    }
    assert wired.plain("result") == json.dumps(expected).encode()


@pytest.mark.parametrize("size", [0, 1, 2, 3, (3 << 16) - 1, 3 << 16, (3 << 16) + 1, 1_000_000])
def test_a_result_in_pieces_is_what_json_and_base64_make_at_once(wired, size):
    code = "import sys; n = int(sys.argv[1]); sys.stdout.buffer.write((bytes(range(256)) * (n // 256 + 1))[:n])"
    runner.run(wired.app, python(code, str(size)))
    data = (EVERY_BYTE * (size // 256 + 1))[:size]
    assert wired.plain("result").decode() == runner.Result(0, data, b"").to_json()
    assert wired.result() == runner.Result(0, data, b"")


def test_every_output_has_its_own_key_and_format(lab):
    lab.put("conditions")
    paths = [lab.target("one"), lab.target("two", format="gcm")]
    runner.run(lab.app, python("print('hello')"))
    assert lab.result("one") == lab.result("two") == runner.Result(0, b"hello\n", b"")
    for path in paths:
        assert b"returncode" not in path.read_bytes()
        with pytest.raises(errors.IntegrityError), connectors.open_reader(path, KEY) as file:
            file.read()


def test_what_the_command_prints_is_passed_on_as_it_comes(wired):
    first = threading.Event()

    class Watcher(io.BytesIO):
        def write(self, data):
            first.set()
            return super().write(data)

    # The command ends when somebody has seen its first line.
    flag = wired.store / "seen"
    code = """
        import os, sys, time
        print("first", flush=True)
        while not os.path.exists(sys.argv[1]):
            time.sleep(0.01)
        print("last", end="", file=sys.stderr)
    """
    shown, failed = Watcher(), io.BytesIO()
    threading.Thread(target=lambda: first.wait() and flag.touch(), daemon=True).start()
    runner.run(wired.app, python(code, str(flag)), stdout=shown, stderr=failed)
    assert (shown.getvalue(), failed.getvalue()) == (b"first\n", b"last")


def test_both_outputs_can_be_large_at_once(wired):
    code = """
        import sys
        for _ in range(64):
            sys.stderr.buffer.write(b"e" * 65536); sys.stderr.flush()
            sys.stdout.buffer.write(b"o" * 65536); sys.stdout.flush()
    """
    runner.run(wired.app, python(code))
    assert wired.result() == runner.Result(0, b"o" * (4 << 20), b"e" * (4 << 20))


SCRIPT = """
    import io, resource, sys
    import connectors
    from connectors import runner
    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    app = connectors.load(sys.argv[1])
"""


def script(lab: Lab, code: str, *arguments: str, **options) -> subprocess.Popen[bytes]:
    """Start a Python process of its own that has `app`."""
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            textwrap.dedent(SCRIPT) + textwrap.dedent(code),
            str(lab.root),
            *arguments,
        ],
        env={**os.environ, "TMPDIR": str(lab.private)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def test_memory_is_bounded_however_much_is_read_and_printed(lab):
    size = 50 << 20
    lab.put("large", bytes(size))
    lab.target("result")
    process = script(
        lab,
        """
        runner.run(app, [sys.executable, "-c", "pass"])
        before = peak()
        copy = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"
        assert runner.run(app, [sys.executable, "-c", copy], stdout=open("/dev/null", "wb", buffering=0)).returncode == 0
        print(peak() - before)
        """,
    )
    out, problem = process.communicate()
    assert process.returncode == 0, problem.decode()
    assert int(out) < 16 << 10  # KiB
    with lab.app["output"]["result"].open() as file:
        assert file.seek(0, os.SEEK_END) == len(runner.Result(0, bytes(size), b"").to_json())


@pytest.mark.parametrize(
    ("code", "returncode", "exit_code"),
    [
        ("raise SystemExit(7)", 7, 7),
        ("raise SystemExit(255)", 255, 255),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -15, 143),
    ],
)
def test_a_command_that_fails_has_its_result_published_all_the_same(wired, code, returncode, exit_code):
    done = runner.run(wired.app, python("print('so far', flush=True);" + code))
    assert (done.returncode, done.exit_code) == (returncode, exit_code)
    assert wired.result().returncode == returncode
    assert wired.result().stdout == b"so far\n"


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


# Mistakes, all found before the command runs.


def fails_early(lab: Lab, kind: type[Exception], match: str, **options) -> None:
    mark = lab.store / "mark"
    with pytest.raises(kind, match=match):
        runner.run(lab.app, python("import sys; open(sys.argv[1], 'w')", str(mark)), **options)
    assert not mark.exists()
    assert lab.left() == []


def test_ports_are_named_where_they_are_missing(wired):
    fails_early(wired, errors.UnknownDataset, "no port 'in'; it has 'input', 'output'", input_port="in")
    fails_early(wired, errors.UnknownDataset, "no port 'out'; it has 'input', 'output'", output_port="out")
    assert wired.untouched("result")


def test_port_with_only_applications_has_nothing_to_read_or_write(wired):
    peer = wired.root / "peers" / "portal" / "application"
    peer.mkdir(parents=True)
    (peer / "location.txt").write_text("portal.example")
    fails_early(wired, errors.ConfigError, "'peers' has no dataset to read from", input_port="peers")
    fails_early(wired, errors.ConfigError, "'peers' has no dataset to write to", output_port="peers")


def test_ports_can_have_other_names(lab):
    lab.connect("from", "one")
    lab.app["from"]["one"].write_bytes(b"!")
    lab.connect("to", "two")
    done = runner.run(lab.app, python(SHOW_INPUTS), input_port="from", output_port="to")
    assert done.published == ("to/two",)
    assert runner.read_result(io.BytesIO(lab.app["to"]["two"].read_bytes())).stdout == b"!"


def test_an_output_that_is_not_there_is_named_with_those_that_are(wired):
    fails_early(wired, errors.UnknownDataset, "no dataset 'tabel'; it has 'result'", outputs={"tabel": "x"})


@pytest.mark.parametrize("path", ["", ".", "..", "../inputs/conditions", "a/../../x", "./", "x/", "/", "a\0b"])
def test_a_path_that_leads_out_of_the_outputs_or_to_a_folder_is_refused(wired, path):
    fails_early(wired, errors.ConfigError, "must be the path of a file", outputs={"result": path})


def test_a_folder_or_device_is_refused_as_a_file_to_publish(wired, tmp_path):
    for path in (tmp_path, Path(os.devnull)):
        fails_early(wired, errors.ConfigError, "not a regular file", outputs={"result": path})


@pytest.mark.parametrize(
    ("document", "kind", "match"),
    [
        ('{"encryption": {"key": "00"}}', errors.InvalidCredentials, "output/result: credentials.encryption.key"),
        ("{", errors.InvalidCredentials, "output/result: .*not JSON"),
        ('{"type": "s4", "encryption": null}', errors.BackendNotFound, "output/result: .*s4"),
    ],
)
def test_an_output_s_credentials_are_checked_before_the_command_runs(wired, document, kind, match):
    (wired.root / "output" / "result" / "dataset" / "credentials.bin").write_text(document)
    fails_early(wired, kind, match)


def test_an_output_that_cannot_be_written_is_found_before_the_command_runs(wired):
    wired.connect("output", "zz", location=(wired.store / "no" / "folder").as_uri())
    fails_early(wired, errors.ObjectNotFound, "output/zz: there is no folder")
    assert wired.untouched("result")


def test_an_input_s_credentials_are_checked_before_anything_is_read(wired):
    wired.connect("input", "zz", location="s4://bucket/key")
    fails_early(wired, errors.BackendNotFound, "input/zz: .*s4")


def test_an_input_that_was_tampered_with_stops_everything(wired):
    path = wired.put("later")
    sealed = bytearray(path.read_bytes())
    sealed[-1] ^= 1
    path.write_bytes(sealed)
    fails_early(wired, errors.IntegrityError, "input/later: ")
    assert wired.untouched("result")


def test_an_input_that_is_missing_stops_everything(wired):
    wired.put("later").unlink()
    fails_early(wired, errors.ObjectNotFound, "input/later: ")
    assert wired.untouched("result")


@pytest.mark.parametrize("command", [[], "ls", b"ls"], ids=repr)
def test_a_command_is_a_list_of_words(wired, command):
    with pytest.raises(errors.ConfigError, match="a command is a list of words"):
        runner.run(wired.app, command)


def test_a_word_with_a_null_character_is_refused(wired):
    with pytest.raises(errors.ConfigError, match="NUL"):
        runner.run(wired.app, ["echo", "a\0b"])


def test_a_command_that_cannot_run_is_found_before_anything_is_read(wired, tmp_path, monkeypatch):
    wired.put("missing").unlink()
    text = tmp_path / "bin" / "notes"
    text.parent.mkdir()
    text.write_text("no program")
    monkeypatch.setenv("PATH", str(text.parent), prepend=os.pathsep)
    for program, code, match in (
        ("no-such-program", 127, "there is no command 'no-such-program'"),
        ("./no-such-program", 127, "there is no command"),
        ("", 127, "there is no command ''"),
        ("notes", 126, "'notes' is not executable"),
        (str(text), 126, "is not executable"),
        (str(tmp_path), 126, "is not executable"),
    ):
        with pytest.raises(runner.CommandNotStarted, match=match) as caught:
            runner.run(wired.app, [program])
        assert caught.value.exit_code == code


@pytest.mark.parametrize(
    ("content", "code", "match"),
    [
        (b"#!/no/such/interpreter\n", 127, "or its interpreter is missing"),
        (b"\x7fnonsense", 126, "cannot be run: Exec format"),
    ],
)
def test_a_program_that_the_system_refuses_is_an_error_of_the_same_kind(wired, tmp_path, content, code, match):
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o700)
    with pytest.raises(runner.CommandNotStarted, match=match) as caught:
        runner.run(wired.app, [str(program)])
    assert caught.value.exit_code == code
    assert wired.untouched("result")


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


# Pipes that nobody reads, or that nobody closes.


def test_a_command_may_close_its_outputs_and_go_on(wired):
    code = "import os, time; os.write(1, b'bye'); os.close(1); os.close(2); time.sleep(0.3); os._exit(5)"
    assert runner.run(wired.app, python(code), grace=0.01).returncode == 5
    assert wired.result() == runner.Result(5, b"bye", b"")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(pid: int) -> bool:
    until(lambda: not alive(pid), f"process {pid} ends")
    return True


def ended(pid: int) -> bool:
    """Return whether a process has ended by now, when the run has returned; elsewhere than on Linux, wait for it."""
    return not os.path.exists(f"/proc/{pid}") if sys.platform == "linux" else gone(pid)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt others")


LEAVE_BEHIND = """
    import os, subprocess, sys
    sleep = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session={session})
    os.write(1, b"%d" % sleep.pid)
    os.write(2, b"e" * 60000)
"""


def test_children_left_running_are_killed_and_do_not_block_the_run(wired):
    runner.run(wired.app, python(LEAVE_BEHIND.format(session=False)), grace=0.2)
    assert wired.result().stderr == b"e" * 60000
    assert ended(int(wired.result().stdout))


def test_a_daemon_that_keeps_the_pipe_open_is_killed_and_does_not_keep_the_run(wired):
    runner.run(wired.app, python(LEAVE_BEHIND.format(session=True)), grace=0.2)
    assert ended(int(wired.result().stdout))
    assert wired.result().stderr == b"e" * 60000


def test_a_daemon_that_never_stops_writing_does_not_keep_the_run(wired):
    code = """
        import os, subprocess, sys
        chatter = "import os\\nwhile True: os.write(1, b'.')"
        print(subprocess.Popen([sys.executable, "-c", chatter], start_new_session=True, stderr=2).pid, file=sys.stderr)
    """
    runner.run(wired.app, python(code), grace=0.2)
    assert ended(int(wired.result().stderr.split()[0]))
    assert set(wired.result().stdout) <= {ord(".")}


LEAVE = """
import os, signal, sys, time
told, held = sys.argv[1:]
def leave():
    "Fork twice, as daemons do; return True in the grandchild, which holds the input and no pipe of ours."
    if os.fork():
        os.wait()
        return False
    os.setsid()
    if os.fork():
        os._exit(0)
    open_still.append(open(held, "rb"))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(nowhere, descriptor)
    return True
def tell():
    with open(told + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.rename(told + ".new", told)
open_still = []
{daemon}
while not os.path.exists(told):
    time.sleep(0.01)
{then}
"""
DAEMONS = {
    "daemon": "if leave(): tell(); time.sleep(600)",
    "daemon that ignores SIGTERM": "if leave(): signal.signal(15, signal.SIG_IGN); tell(); time.sleep(600)",
    "daemon of a daemon": "if leave():\n    if leave(): tell()\n    time.sleep(600)",
    "stopped daemon": "if leave(): tell(); os.kill(os.getpid(), signal.SIGSTOP)",
}


def leaving(wired: Lab, daemon: str, then: str) -> list[str]:
    """Return a command that leaves a daemon behind, which tells its process ID, and then does something."""
    return [sys.executable, "-c", LEAVE.format(daemon=daemon, then=then), str(wired.store / "told")]


@LINUX
@pytest.mark.parametrize("daemon", DAEMONS.values(), ids=DAEMONS)
def test_no_process_that_the_command_leaves_outlives_the_run(wired, daemon):
    assert runner.run(wired.app, leaving(wired, daemon, "sys.exit(3)")).returncode == 3
    assert ended(int((wired.store / "told").read_text()))


@LINUX
def test_a_process_that_forks_and_leaves_again_and_again_is_caught(wired):
    again = """
if leave():
    while True:
        if os.fork():
            os._exit(0)
        os.setsid()
        tell()
"""
    assert runner.run(wired.app, leaving(wired, again, "")).returncode == 0
    last = (wired.store / "told").read_text()
    assert ended(int(last))
    assert (wired.store / "told").read_text() == last


@LINUX
def test_a_run_that_is_killed_leaves_no_process_behind(wired):
    daemon = DAEMONS["daemon"]
    command = leaving(wired, daemon, "print(os.getpid(), flush=True); time.sleep(600)")
    process = script(wired, RUN.replace('[sys.executable, "-c", sys.argv[2]]', "sys.argv[4:]"), "", "5", *command)
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.kill()
    process.communicate()
    assert gone(pid)
    assert gone(int((wired.store / "told").read_text()))
    folder_module._sweep(str(wired.private))


@LINUX
def test_the_caller_s_other_children_are_not_touched(wired):
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    with other:
        runner.run(wired.app, leaving(wired, DAEMONS["daemon"], ""))
        assert other.poll() is None
        other.kill()


def test_a_supervisor_that_is_killed_is_an_error_and_ends_the_command(wired):
    code = """
        import os, signal, time
        os.write(1, b"%d" % os.getpid())
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(600)
    """
    shown = io.BytesIO()
    with pytest.raises(errors.ConnectorError, match=r"exit code was lost, and processes of it may still run"):
        runner.run(wired.app, python(code), stdout=shown, grace=0.2)
    assert gone(int(shown.getvalue()))
    assert wired.untouched("result")


def test_a_supervisor_that_does_not_start_is_an_error(wired, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(errors.MachineFailed, match="the command was not started"):
        runner.run(wired.app, ["true"])
    monkeypatch.setattr(sys, "executable", str(wired.store / "none"))
    with pytest.raises(errors.MachineFailed, match=r"not started, because .*none cannot be run: No such file"):
        runner.run(wired.app, ["true"])
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(errors.ConfigError, match="needs a Python interpreter"):
        runner.run(wired.app, ["true"])
    assert wired.untouched("result")


@contextmanager
def supervised_as(monkeypatch, home: Path, change: str):
    """Let the supervisor run under a Python that lacks something."""
    (home / "changed").write_text(
        f"#!{sys.executable} -IS\nimport sys; sys.path.append({os.path.dirname(supervisor.__file__)!r})\n"
        f"import os, supervisor\n{change}\nsys.argv[:] = ['', *sys.argv[-3:]]\nsys.exit(supervisor.main())\n"
    )
    (home / "changed").chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(home / "changed"))
        yield


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_where_processes_cannot_be_adopted_the_group_is_killed(wired, tmp_path, monkeypatch, caplog, platform):
    change = f"sys.platform = {platform!r}; supervisor._prctl = lambda *_: False"
    leave = [*python(LEAVE_BEHIND.format(session=False))]
    leave[2] = leave[2].replace("sys.executable", repr(sys.executable))
    with supervised_as(monkeypatch, tmp_path, change):
        assert runner.run(wired.app, leave, grace=0.2).returncode == 0
    assert gone(int(wired.result().stdout))
    assert ("those that left its process group cannot be found" in caplog.text) == (platform == "linux")


def test_without_waitid_the_exit_code_is_the_same(wired, tmp_path, monkeypatch):
    code = [sys.executable, "-c", "raise SystemExit(4)"]
    with supervised_as(monkeypatch, tmp_path, "sys.platform = 'darwin'; del os.waitid"):
        assert runner.run(wired.app, code).returncode == 4
    assert wired.result().returncode == 4


def test_the_command_gets_its_environment_unchanged_in_the_c_locale(wired, monkeypatch):
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ODD", "a=b\n\udcff")
    runner.run(wired.app, ["sh", "-c", "env -0"])
    names = {entry.partition(b"=")[0] for entry in wired.result().stdout.split(b"\0")} - {b"_", b"PWD", b"SHLVL", b""}
    expected = {os.fsencode(name) for name in os.environ} | {b"CONNECTORS_INPUTS", b"CONNECTORS_OUTPUTS"}
    assert names == expected - {b"_", b"PWD", b"SHLVL"}
    assert b"ODD=a=b\n\xff" in wired.result().stdout.split(b"\0")


def test_the_standard_streams_of_the_caller_may_be_closed(wired):
    code = """
        import os
        for descriptor in (0, 1):
            os.close(descriptor)
        done = runner.run(app, ["sh", "-c", "sleep 0.2; echo hello"])
        os.write(2, b"%d" % done.returncode)
    """
    _, problem = script(wired, code).communicate()
    assert problem == b"0"
    assert wired.result().stdout == b"hello\n"


def test_a_reader_who_leaves_does_not_stop_the_command_or_its_capture(wired, caplog):
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb", buffering=0) as closed:
        done = runner.run(wired.app, python("print('x' * 200000)"), stdout=closed)
    assert done.returncode == 0
    assert len(wired.result().stdout) == 200001
    assert caplog.messages == []


def test_full_output_stream_is_reported_and_capture_continues(wired, caplog):
    with open("/dev/full", "wb", buffering=0) as full:
        runner.run(wired.app, python("print('hello')"), stdout=full)
    assert wired.result().stdout == b"hello\n"
    assert "standard output is still captured but no longer shown: " in caplog.text


def test_a_pipe_of_ours_that_does_not_block_gets_everything(wired):
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    got = bytearray()

    def read():
        while data := os.read(reading, 1 << 14):
            got.extend(data)

    reader = threading.Thread(target=read)
    reader.start()
    with open(writing, "wb", buffering=0) as shown:
        runner.run(wired.app, python("import sys; sys.stdout.buffer.write(bytes(range(256)) * 4096)"), stdout=shown)
    reader.join()
    os.close(reading)
    assert bytes(got) == EVERY_BYTE * 4096


def test_a_full_disk_stops_the_command_and_publishes_nothing(wired, monkeypatch):
    real = command_module._write

    def full(file, data):
        if os.fstat(file.fileno()).st_nlink == 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(file, data)

    monkeypatch.setattr(command_module, "_write", full)
    with pytest.raises(errors.ConnectorError, match=r"cannot be kept in \$TMPDIR: No space left"):
        runner.run(wired.app, python("import time; print('x', flush=True); time.sleep(600)"))
    assert wired.untouched("result")


def test_unexpected_error_of_the_callers_stream_is_raised(wired):
    class Broken(io.BytesIO):
        def write(self, _):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runner.run(wired.app, python("print('x', flush=True); import time; time.sleep(600)"), stdout=Broken())
    assert wired.untouched("result")


def test_no_room_for_the_inputs_says_what_to_do(wired, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(wired.store / "none"))
    with pytest.raises(errors.ConnectorError, match=r"cannot be kept in \$TMPDIR \(No such file.*set it to a folder"):
        runner.run(wired.app, python("pass"))


def test_other_code_that_waits_for_all_children_does_not_take_the_exit_code(wired):
    code = """
        import os, threading
        def take():
            while True:
                try:
                    os.waitpid(-1, 0)
                except ChildProcessError:
                    pass
        threading.Thread(target=take, daemon=True).start()
        print(runner.run(app, ["sh", "-c", "exit 9"]).returncode)
    """
    out, problem = script(wired, code).communicate()
    assert (out, problem) == (b"9\n", b"")


def test_in_another_thread_it_runs_without_handling_signals(wired):
    done: list[runner.RunResult] = []
    thread = threading.Thread(target=lambda: done.append(runner.run(wired.app, python("print(1)"))))
    thread.start()
    thread.join()
    assert done == [runner.RunResult(0, ("output/result",))]


# Signals to the runner.

RUN = """
    command = [sys.executable, "-c", sys.argv[2]]
    runner.run(app, command, stdout=open(1, "wb", buffering=0, closefd=False), grace=float(sys.argv[3]))
    print("published")
"""
WAIT = "import time; print('ready', flush=True); time.sleep(600)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_nothing_is_published(wired, number):
    code = f"""
import os, signal, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
def stop(n, _):
    # Not by print: the signal may come while "ready" is still on its way through the same buffer.
    os.write(1, b"told %d %d" % (n, child.wait()))
    sys.exit(0)
signal.signal({int(number)}, stop)
print("ready", child.pid, flush=True)
while True:  # Python handles a signal that arrives just before the sleep only after it
    time.sleep(0.1)
"""
    process = script(wired, RUN, code, "20")
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    process.send_signal(number)
    out, problem = process.communicate()
    assert process.returncode == 128 + number, problem.decode()
    # The command's own child was told, too, and the command could wait for it.
    assert out.split()[:2] == [b"told", b"%d" % number]
    assert out.split()[2] in (b"-%d" % number, b"1")
    assert len(out.split()) == 3
    assert gone(child)
    assert wired.untouched("result")


def test_a_command_that_does_not_listen_is_killed_when_its_time_is_over(wired):
    code = "import os, signal; signal.signal(15, signal.SIG_IGN); print(os.getpid(), flush=True); signal.pause()"
    process = script(wired, RUN, code + ";signal.pause()" * 9, "0.2")
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert gone(pid)
    assert wired.untouched("result")


def test_a_signal_while_nobody_reads_our_output_still_ends_the_run(wired):
    code = "import os, sys; os.write(2, b'ready'); os.write(1, bytes(10 << 20))"
    process = script(
        wired, RUN.replace(", grace", ", stderr=open(2, 'wb', buffering=0, closefd=False), grace"), code, "0.2"
    )
    assert process.stderr is not None
    assert process.stderr.read(5) == b"ready"
    process.terminate()
    assert process.wait(timeout=PATIENCE) == 143
    process.communicate()
    assert wired.untouched("result")


def test_a_signal_while_an_input_is_read_ends_the_run_at_once(wired):
    process = script(
        wired,
        """
        from contextlib import contextmanager
        from connectors._fsspec import Callback
        import time
        @contextmanager
        def stuck(_):
            print("ready", flush=True)
            time.sleep(600)
            yield Callback()
        runner.run(app, ["true"], progress=stuck)
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    assert len(wired.left()) == 1
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert wired.left() == []
    assert wired.untouched("result")


def test_a_signal_while_an_output_is_written_leaves_what_stood_there(wired):
    process = script(
        wired,
        """
        from connectors.runner import job, supervisor
        import time
        real = job.result_pieces
        def slow(*args):
            pieces = real(*args)
            yield next(pieces)
            print("ready", flush=True)
            time.sleep(600)
            yield from pieces
        job.result_pieces = slow
        runner.run(app, ["true"])
        """,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()
    process.communicate()
    assert process.returncode == 143
    assert wired.untouched("result")


def test_a_signal_that_was_ignored_stays_ignored_as_nohup_wants_it(wired):
    nohup = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code = "import time; print('ready', flush=True); time.sleep(0.3); print('end', flush=True)"
    process = script(wired, nohup + textwrap.dedent(RUN), code, "5")
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert out == b"end\npublished\n"
    assert wired.result().stdout == b"ready\nend\n"


def test_a_process_that_ignores_its_children_still_learns_of_their_failure(wired):
    ignoring = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    code = ignoring + "print(runner.run(app, [sys.executable, '-c', 'raise SystemExit(9)']).returncode)"
    out, problem = script(wired, code).communicate()
    assert (out, problem) == (b"9\n", b"")


def test_the_handlers_are_put_back(wired):
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = [signal.getsignal(number) for number in numbers]
    runner.run(wired.app, python("pass"))
    with pytest.raises(errors.UnknownDataset):
        runner.run(wired.app, python("pass"), input_port="none")
    with pytest.raises(runner.CommandNotStarted):
        runner.run(wired.app, ["no-such-program"])
    assert [signal.getsignal(number) for number in numbers] == before


# The private folder.


def test_whatever_the_command_leaves_in_the_private_folder_goes_with_it(wired, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "keep").touch()
    code = """
        import os, sys
        os.chdir(os.environ["CONNECTORS_OUTPUTS"])
        os.makedirs("deep/er/still")
        open("deep/er/file", "w").close()
        os.symlink(sys.argv[1], "link")
        os.symlink(sys.argv[1], "deep/link")
        os.mkfifo("deep/pipe")
        os.chmod("deep/er/file", 0)
        os.chmod("deep/er", 0)
        os.chmod("deep", 0o500)
        os.chmod(os.environ["CONNECTORS_INPUTS"], 0o500)
    """
    runner.run(wired.app, python(code, str(outside)))
    assert wired.left() == []
    assert (outside / "keep").exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o755


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, whom permissions bind")
def test_folders_without_permissions_are_removed_by_an_ordinary_user(monkeypatch):
    outside = tempfile.mkdtemp(dir="/tmp")
    monkeypatch.setattr(tempfile, "tempdir", "/tmp")
    os.chmod(outside, 0o755)
    os.seteuid(65534)
    try:
        with folder_module.PrivateFolder() as folder:
            path = folder.make("outputs")
            os.makedirs(f"{path}/deep/er")
            Path(f"{path}/deep/er/file").touch()
            os.symlink(outside, f"{path}/link")
            for closed in (f"{path}/deep/er", f"{path}/deep", path, folder.path):
                os.chmod(closed, 0)
        assert not os.path.exists(folder.path)
    finally:
        os.seteuid(0)
    assert stat.S_IMODE(os.stat(outside).st_mode) == 0o755
    os.rmdir(outside)


def killed_run(lab) -> Path:
    """Kill a run while its command is at work; return the folder that it leaves."""
    code = f"""
        import os
        import connectors
        from connectors import runner
        app = connectors.load({str(lab.root)!r})
        command = ["sh", "-c", f"kill -KILL {{os.getpid()}}"]
        runner.run(app, command)
    """
    before = set(lab.private.iterdir())
    done = subprocess.run(python(code), env={**os.environ, "TMPDIR": str(lab.private)}, check=False, timeout=PATIENCE)
    assert done.returncode == -signal.SIGKILL
    (left,) = set(lab.private.iterdir()) - before
    return left


def test_what_a_killed_run_leaves_is_removed_by_the_next(wired, caplog):
    left = killed_run(wired)
    assert any(path.is_file() for path in left.rglob("*"))
    (left / "inputs").chmod(0)
    runner.run(wired.app, python("pass"))
    assert wired.left() == []
    assert caplog.messages == [f"removed {left}, with the plain files of a run that was killed"]


def test_runs_leave_one_another_alone(wired):
    code = "import sys, time, os; time.sleep(1); print(os.listdir(os.environ['CONNECTORS_INPUTS']))"
    outcomes = []

    def one() -> None:
        outcomes.append(runner.run(wired.app, python(code)).returncode)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [0, 0, 0]
    assert wired.left() == []


def test_only_what_a_run_of_this_user_left_is_removed(wired, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch()
    (wired.private / "connectors-run-link").symlink_to(outside)
    (wired.private / "connectors-run-file").touch()
    (wired.private / "others").mkdir()
    if os.geteuid() == 0:
        (wired.private / "connectors-run-other").mkdir()
        os.chown(wired.private / "connectors-run-other", 65534, 65534)
    before = sorted(wired.left())
    runner.run(wired.app, python("pass"))
    assert sorted(wired.left()) == before
    assert (outside / "kept").exists()
    for path in wired.private.iterdir():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def test_a_folder_that_another_run_takes_for_abandoned_is_made_anew(wired, monkeypatch):
    real, taken = tempfile.mkdtemp, []

    def swept(**options):
        path = real(**options)
        if len(taken) < 2:  # once removed before it is opened, once before it is locked
            taken.append(path)
            os.rmdir(path)
            if len(taken) == 2:
                monkeypatch.setattr(folder_module, "_open", opened_late)
        return path

    def opened_late(path):
        if path == taken[1]:
            os.mkdir(path)
            descriptor = real_open(path)
            os.rmdir(path)
            return descriptor
        return real_open(path)

    real_open = folder_module._open
    monkeypatch.setattr(tempfile, "mkdtemp", swept)
    with folder_module.PrivateFolder() as folder:
        assert folder.path not in taken
        assert os.listdir(folder.path) == []
    assert wired.left() == []


def test_a_folder_that_cannot_be_removed_is_an_error(wired, monkeypatch):
    real = folder_module.remove

    def stuck(folder):
        real(folder)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    monkeypatch.setattr(folder_module, "remove", stuck)
    with pytest.raises(errors.ConnectorError, match=r"plain data remains in .*connectors-run-.*busy.*: remove it"):
        runner.run(wired.app, python("pass"))
    assert wired.result().returncode == 0


def test_a_folder_that_cannot_be_removed_is_told_beside_another_error(wired, monkeypatch, caplog):
    def stuck(folder):
        os.rmdir(f"{folder}/outputs")
        os.rmdir(f"{folder}/inputs")
        os.rmdir(folder)
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    wired.put("later").unlink()
    (wired.store / "input-0.sealed").unlink()
    monkeypatch.setattr(folder_module, "remove", stuck)
    with pytest.raises(errors.ObjectNotFound) as caught:
        runner.run(wired.app, python("pass"))
    assert "plain data remains in" in caught.value.__notes__[0]
    assert caplog.messages == caught.value.__notes__


# Reading a result.


@pytest.mark.parametrize("source", ["path", "text path", "file", "pipe"])
def test_a_result_is_read_from_paths_files_and_pipes(tmp_path, source):
    expected = runner.Result(-9, EVERY_BYTE * 1000, b"\xff\n")
    path = tmp_path / "result.json"
    path.write_text(expected.to_json())
    if source in ("path", "text path"):
        assert runner.read_result(path if source == "path" else str(path)) == expected
    elif source == "file":
        with path.open("rb", buffering=0) as file:
            assert runner.read_result(file) == expected
    else:
        reading, writing = os.pipe()

        def feed():
            with open(writing, "wb") as file:
                file.write(path.read_bytes())

        thread = threading.Thread(target=feed)
        thread.start()
        with open(reading, "rb", buffering=0) as file:
            assert runner.read_result(file) == expected
        thread.join()


def test_a_result_may_have_its_members_in_any_order_and_a_byte_order_mark():
    text = '\ufeff\n{"stderr": "ZQ==", "stdout": "", "returncode": 1}\n'
    assert runner.read_result(io.BytesIO(text.encode())) == runner.Result(1, b"", b"e")


GOOD = {"returncode": 0, "stdout": "", "stderr": ""}


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (b"", "not JSON at line 1"),
        (b"{", "not JSON at line 1, column 2"),
        (b"\xff\xfe\x00", "still encrypted"),
        (b"[]", "a JSON object"),
        (b"null", "a JSON object"),
        (b"{}", "lacks returncode and stdout and stderr"),
        (json.dumps({"returncode": 0, "stdout": ""}).encode(), "lacks stderr"),
        (json.dumps({**GOOD, "more": 1}).encode(), "members besides returncode, stdout, stderr"),
        (b'{"returncode": 0, "returncode": 1, "stdout": "", "stderr": ""}', "has a member twice"),
        (json.dumps({**GOOD, "returncode": True}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": 0.0}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": "0"}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "returncode": 1 << 31}).encode(), "returncode is an integer"),
        (json.dumps({**GOOD, "stdout": "a secret"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "QQ"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "QQ==\n"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stdout": "é"}).encode(), "stdout is text in base64"),
        (json.dumps({**GOOD, "stderr": None}).encode(), "stderr is text in base64"),
        (b'{"returncode": %s, "stdout": "", "stderr": ""}' % (b"9" * 5000), "too long"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_what_is_no_result_is_refused_and_not_quoted(text, match):
    with pytest.raises(errors.ConfigError, match=match) as caught:
        runner.read_result(io.BytesIO(text))
    assert str(caught.value).startswith("this is not the result of a command: ")
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None  # JSON's own error would hold the whole text


def test_a_result_that_is_too_large_is_refused(monkeypatch):
    good = json.dumps(GOOD).encode()
    monkeypatch.setattr("connectors.runner.result.RESULT_LIMIT", len(good))
    assert runner.read_result(io.BytesIO(good)) == runner.Result(0, b"", b"")
    with pytest.raises(errors.ConfigError, match=f"the limit of {len(good)} bytes"):
        runner.read_result(io.BytesIO(good + b"\n"))


def test_a_result_s_bytes_are_not_in_its_repr():
    assert repr(runner.Result(0, b"patients", b"names")) == "Result(returncode=0)"


def test_a_missing_result_and_a_folder_are_named(tmp_path):
    with pytest.raises(errors.ObjectNotFound):
        runner.read_result(tmp_path / "none")
    with pytest.raises(errors.NotAnObject):
        runner.read_result(tmp_path)


def test_every_public_name_is_there():
    assert all(hasattr(runner, name) for name in runner.__all__)


# Folders.


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
