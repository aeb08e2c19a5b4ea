"""One run from end to end: inputs into a private folder, the command, then the outputs, each whole or not at all."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from connectors._fsspec import DEFAULT_CALLBACK
from connectors.errors import ConfigError, ConnectorError, CredentialsExpired, naming
from connectors.fs.progress import BytesOf
from connectors.runner.command import Capture, check_command, execute
from connectors.runner.folder import PrivateFolder, keeping
from connectors.runner.outputs import files_below, open_output
from connectors.runner.result import result_pieces, result_size
from connectors.streams import copy_stream
from connectors.streams.sources import as_path
from connectors.system.local_names import check_names, folds_names
from connectors.system.stops import Stops

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from connectors._fsspec import Callback
    from connectors.app.config import AppConfig
    from connectors.app.dataset import Dataset
    from connectors.fs.encrypted import EncryptedFileSystem
    from connectors.streams import SealedWriter
    from connectors.streams.sources import BinaryFile, StrPath

    Progress = Callable[[str], AbstractContextManager[Callback]]

__all__ = ["INPUTS_VARIABLE", "OUTPUTS_VARIABLE", "NotPublished", "RunResult", "run"]

INPUTS_VARIABLE = "CONNECTORS_INPUTS"
"""The environment variable with the folder of the command's inputs."""
OUTPUTS_VARIABLE = "CONNECTORS_OUTPUTS"
"""The environment variable with the folder for the command's outputs."""

RESULT_NAME = "result.json"
"""The name of the result in an output that is a folder."""


class NotPublished(ConnectorError):
    """Several outputs could not be written; each of them is unchanged.

    Attributes:
        problems: the error of each, by the dataset's name, ``port/object``.
    """

    problems: Mapping[str, Exception]


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outcome of a run.

    Attributes:
        returncode: the command's exit code; -N if signal N ended it.
        published: the names, ``port/object``, of the datasets that were written.
        unpublished: the datasets for a file of the command that are unchanged because the command failed.
    """

    returncode: int
    published: tuple[str, ...]
    unpublished: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code to pass on, as shells do: 128 + N if signal N ended the command.

        >>> RunResult(-15, ()).exit_code
        143
        """
        return self.returncode if self.returncode >= 0 else 128 - self.returncode


def run(
    app: AppConfig,
    command: Sequence[str],
    *,
    input_port: str = "input",
    output_port: str = "output",
    outputs: Mapping[str, StrPath] | None = None,
    stdout: BinaryFile | None = None,
    stderr: BinaryFile | None = None,
    progress: Progress = lambda _: nullcontext(DEFAULT_CALLBACK),
    grace: float = 5.0,
) -> RunResult:
    """Run a command on the datasets of one port, and publish its outputs to the datasets of another.

    The command gets the paths of its inputs as its last arguments, sorted by object name. ``$CONNECTORS_INPUTS`` names
    the folder of the inputs and ``$CONNECTORS_OUTPUTS`` the folder for outputs. Standard input, the working folder and
    the rest of the environment are inherited.

    In the main thread, SIGTERM, SIGINT and SIGHUP are forwarded to the command while it runs. After such a signal
    nothing more is published, and `Stopped` is raised.

    Args:
        app: the application's ports.
        command: the program and its first arguments.
        input_port: the port whose datasets the command reads.
        output_port: the port whose datasets are written. Each of them gets the result, as JSON; a folder dataset gets
            it as ``result.json``.
        outputs: paths of files by object name: these datasets get that file instead, if the command succeeds; a folder
            dataset gets all files of a folder. A relative path is relative to the folder for outputs.
        stdout: a binary file that the command's standard output is copied to as it arrives.
        stderr: the same for its standard error.
        progress: returns, for a description, a context manager that gives the callback for a dataset's bytes.
        grace: seconds after a signal before a command that does not exit is killed, and after the command's exit
            before the processes that hold its outputs are killed. All others that it left are killed at its exit.

    Returns:
        The command's exit code, even if it failed, and what was published.

    Raises:
        ConfigError: a port is missing or has no dataset, or `outputs` does not match the ports. As with all errors but
            the last two, the command was not started.
        CommandNotStarted: the program does not exist or is not executable.
        IntegrityError: an input is not what its owner sealed.
        StorageError: an input cannot be read, or an output cannot be written.
        NotPublished: several outputs could not be written.
        Stopped: a signal stopped the run.
    """
    plan = _plan(app, input_port, output_port, outputs or {})
    check_command(command)
    with Stops() as stops:
        with stops.interrupting():
            plan.rehearse()
        with PrivateFolder() as folder, ExitStack() as captured:
            inputs, results = folder.make("inputs"), os.path.realpath(folder.make("outputs"))
            with stops.interrupting():
                paths = _download(plan.inputs, inputs, progress)
            with keeping():
                shown = captured.enter_context(closing(Capture(folder.path, stdout, "standard output")))
                captures = (shown, captured.enter_context(closing(Capture(folder.path, stderr, "standard error"))))
            before = plan.identities()
            environment = {**os.environ, INPUTS_VARIABLE: inputs, OUTPUTS_VARIABLE: results}
            returncode = execute([*command, *paths], environment, captures, stops, grace)
            with stops.interrupting():
                return _publish(_Publication(plan, returncode, captures, results, before), progress)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Which datasets are read, and which are written from what."""

    inputs: dict[str, Dataset]
    outputs: dict[str, Dataset]
    files: dict[str, str]

    def rehearse(self) -> None:
        """Find problems before hours of computing, not after: configuration, credentials, missing folders."""
        for dataset in self.inputs.values():
            dataset.filesystem()
        for dataset in self.outputs.values():
            _open_result(dataset).discard()
        self.identities()

    def identities(self) -> dict[str, tuple[object, ...] | None]:
        """Return the identities of the files to publish: a file that the command does not change is not its output.

        Raises:
            ConfigError: there is something other than a file at a path.
        """
        return {name: self.identity(name, path) if os.path.isabs(path) else None for name, path in self.files.items()}

    def identity(self, name: str, path: str) -> tuple[object, ...] | None:
        """Return a value that changes when the file or folder for a dataset is written; None if it does not exist."""
        if not self.outputs[name].is_folder:
            return _identity(path)
        if os.path.lexists(path) and not os.path.isdir(path):
            message = f"the dataset is a folder, and {path} is not"
            raise ConfigError(message)
        if not os.path.isdir(path):
            return None
        below = files_below(path)
        return tuple((one, _identity(os.path.join(path, one), names)) for one, names in below.items()) or None


def _plan(app: AppConfig, input_port: str, output_port: str, files: Mapping[str, StrPath]) -> _Plan:
    inputs = dict(sorted(app[input_port].items()))
    outputs = dict(sorted(app[output_port].items()))
    for port, datasets, use in ((input_port, inputs, "read from"), (output_port, outputs, "write to")):
        if not datasets:
            message = f"the port {port!r} has no dataset to {use}"
            raise ConfigError(message)
    for name in files:
        app[output_port][name]  # raises an error that lists the names
    return _Plan(inputs, outputs, {name: _file_path(path) for name, path in files.items()})


def _file_path(path: StrPath) -> str:
    text = as_path(path)
    inside = os.path.normpath(text).split(os.sep)[0] not in ("..", ".", "")
    if "\0" in text or not os.path.basename(text) or not (inside or os.path.isabs(text)):
        message = f"{text!r} must be the path of a file: absolute, or relative to the folder for outputs and inside it"
        raise ConfigError(message)
    # Links that are there before the command starts are the caller's; those of the command are not followed.
    return os.path.realpath(text) if os.path.isabs(text) else os.path.normpath(text)


def _open_result(dataset: Dataset) -> SealedWriter:
    """Open the dataset for a result, or an object in it if it is a folder."""
    writer: SealedWriter
    if dataset.is_folder:
        fs, path = dataset.filesystem()
        writer = fs.open(f"{path}/{RESULT_NAME}", "wb")  # type: ignore[assignment]  # an IO[Any] to type checkers
    else:
        writer = dataset.open("wb")  # type: ignore[assignment]
    return writer


def _identity(path: str, names: int = 1) -> tuple[int, ...] | None:
    """Return a value that changes when a file is written; None if it does not exist."""
    file = open_output(path, names)
    if file is None:
        return None
    with file:
        found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _download(inputs: Mapping[str, Dataset], folder: str, progress: Progress) -> list[str]:
    """Write each input to a file that only its user can read, and return their paths."""
    members = {name: _members(dataset) for name, dataset in inputs.items()}
    check_names(
        [
            os.path.join(name, inside) if inside else name
            for name, below in members.items()
            for inside in below.values()
        ],
        folds=folds_names(folder),
    )
    for name, dataset in inputs.items():
        fs, _ = dataset.filesystem()
        if dataset.is_folder:
            os.mkdir(os.path.join(folder, name), 0o700)
        # Not staged and renamed: no other process sees any of them until all have verified.
        for member, inside in members[name].items():
            target = os.path.join(folder, name, inside) if inside else os.path.join(folder, name)
            with keeping():
                os.makedirs(os.path.dirname(target), 0o700, exist_ok=True)
            _download_one(fs, member, target, progress(f"reading {dataset.name}"))
    return [os.path.join(folder, name) for name in inputs]


def _members(dataset: Dataset) -> dict[str, str]:
    """Return the path of each object of a dataset, with its name in the folder, which is empty if it is no folder."""
    fs, path = dataset.filesystem()
    if not dataset.is_folder:
        return {path: ""}
    return {member: member.removeprefix(path).lstrip("/") for member in fs.find(path)}


def _download_one(fs: EncryptedFileSystem, path: str, local: str, progress: AbstractContextManager[Callback]) -> None:
    with progress as callback, fs.open(path, "rb") as source, keeping(), open(local, "xb", opener=_private) as target:
        copy_stream(source, target, callback)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


@dataclass(frozen=True, slots=True)
class _Publication:
    """The outputs of a command that has ended."""

    plan: _Plan
    returncode: int
    captures: tuple[Capture, Capture]
    folder: str
    before: Mapping[str, tuple[object, ...] | None]

    def write(self, name: str, callback: Callback) -> None:
        """Write one output."""
        dataset = self.plan.outputs[name]
        if name not in self.plan.files:
            self._write_result(dataset, callback)
            return
        path = os.path.join(self.folder, self.plan.files[name])
        with naming(dataset.name):
            written = self.plan.identity(name, path)
            if written is None or written == self.before[name]:
                kind = "folder" if dataset.is_folder else "file"
                verb = f"wrote no {kind}" if written is None else f"did not change the {kind}"
                message = f"the command succeeded but {verb} {path}, so the dataset is unchanged"
                raise ConnectorError(message)
        if dataset.is_folder:
            _upload_folder(dataset, path, callback)
        else:
            _copy(path, 1, dataset.open("wb"), callback)

    def _write_result(self, dataset: Dataset, callback: Callback) -> None:
        stdout, stderr = (capture.file for capture in self.captures)
        callback.set_size(result_size(self.returncode, stdout, stderr))
        with _open_result(dataset) as file:
            for piece in result_pieces(self.returncode, stdout, stderr):
                file.write(piece)
                callback.relative_update(len(piece))


def _upload_folder(dataset: Dataset, folder: str, callback: Callback) -> None:
    """Write every file of a folder to a folder dataset; they appear when all of them are encrypted."""
    below = files_below(folder)
    callback.set_size(sum(os.path.getsize(os.path.join(folder, name)) for name in below))
    fs, path = dataset.filesystem()
    with fs.transaction:
        for name, names in below.items():
            _copy(os.path.join(folder, name), names, fs.open(f"{path}/{name}", "wb"), BytesOf(callback))


def _copy(path: str, names: int, target: IO[bytes], callback: Callback) -> None:
    with target as writer:
        source = open_output(path, names)
        if source is None:
            message = f"{path} was removed while the outputs were published"
            raise ConnectorError(message)
        with source:
            copy_stream(source, writer, callback)


def _publish(publication: _Publication, progress: Progress) -> RunResult:
    """Write every output; if one fails, the others are still tried."""
    published, unpublished = [], []
    problems: dict[str, Exception] = {}
    for name, dataset in publication.plan.outputs.items():
        shown = dataset.name or name
        if name in publication.plan.files and publication.returncode != 0:
            unpublished.append(shown)
            continue
        try:
            _write_renewed(publication, name, progress)
        except Exception as problem:  # noqa: BLE001 - raised below, after the others
            problems[shown] = problem
        else:
            published.append(shown)
    if problems:
        raise _failure(problems, published)
    return RunResult(publication.returncode, tuple(published), tuple(unpublished))


def _write_renewed(publication: _Publication, name: str, progress: Progress) -> None:
    """Write one output; if its credentials have expired, try once more with those the app config has now."""
    dataset = publication.plan.outputs[name]
    for last in (False, True):
        try:
            with progress(f"writing {dataset.name}") as callback:
                publication.write(name, callback)
        except CredentialsExpired:
            if last:
                raise
            dataset.refresh()
        else:
            return


def _failure(problems: Mapping[str, Exception], published: Sequence[str]) -> Exception:
    """Return the only problem, or one error that names all of them."""
    (first, *others) = problems.values()
    if not others:
        if published:
            first.add_note(f"These were written: {', '.join(published)}.")
        return first
    told = [_told(name, problem) for name, problem in problems.items()]
    if published:
        told.append(f"these were written: {', '.join(published)}")
    error = NotPublished("; ".join(told))
    error.problems = dict(problems)
    return error


def _told(name: str, problem: Exception) -> str:
    if isinstance(problem, ConnectorError):
        return str(problem) if problem.dataset else f"{name}: {problem}"
    # The message of another library's error may hold anything, such as a signed URL.
    system = isinstance(problem, OSError) and problem.errno
    return f"{name}: {os.strerror(system) if system else type(problem).__name__}"
