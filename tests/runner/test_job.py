"""A command on the inputs: what it sees, and the mistakes that are found before it runs."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from pathlib import Path

import pytest
from lab import KEY, OUT_KEY, SHOW_INPUTS, fails_early, python

from connectors import errors, runner
from connectors._fsspec import Callback

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


# Mistakes, all found before the command runs.


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


def test_every_public_name_is_there():
    assert all(hasattr(runner, name) for name in runner.__all__)
