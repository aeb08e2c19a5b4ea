"""Fuzz one target: ``python -m fuzz TARGET``, or run a single input: ``python -m fuzz TARGET FILE``."""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path

from fuzz.targets import NAMES

CORPUS = Path(__file__).parent / "corpus"
PACKAGES = [
    "connectors",
    "connectors_azure",
    "connectors_cdh",
    "connectors_gcs",
    "connectors_https",
    "connectors_pkcs11",
    "connectors_s3",
    "connectors_sftp",
    "connectors_vault",
]
"""The packages whose coverage guides the fuzzer: those of this project, not the libraries below them."""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("inputs", nargs="*", type=Path, help="inputs to run once each, instead of fuzzing")
    parser.add_argument("--seconds", type=int, default=0, help="how long to fuzz; unlimited by default")
    parser.add_argument("--runs", type=int, default=-1, help="how many inputs to run, those of the corpus included")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the random generator")
    parser.add_argument(
        "--found", type=Path, help="a folder for new inputs that reach new code; by default, none is kept"
    )
    parser.add_argument("--seeds", action="store_true", help="write the initial inputs into the corpus")
    parser.add_argument("--keep", type=Path, help="copy inputs of a folder into the corpus if they reach new code")
    arguments = parser.parse_args()
    kept = CORPUS / arguments.target
    if arguments.seeds:
        _write_seeds(arguments.target, kept)
        return
    target = importlib.import_module(f"fuzz.targets.{arguments.target}") if arguments.keep or arguments.inputs else None
    if arguments.keep and target:
        from fuzz.keeping import keep  # noqa: PLC0415 - imports packages that fuzzing must instrument first

        print(f"{keep(target.check, arguments.keep.iterdir(), kept)} more inputs kept")
    elif target:
        for path in arguments.inputs:
            print(f"{path}: {target.check(path.read_bytes())}")
    else:
        _fuzz(arguments, kept)


def _write_seeds(name: str, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for label, data in importlib.import_module(f"fuzz.targets.{name}").seeds().items():
        (kept / label).write_bytes(data)


def _fuzz(arguments: argparse.Namespace, kept: Path) -> None:
    import atheris  # noqa: PLC0415 - not needed to run single inputs

    with atheris.instrument_imports(include=PACKAGES):
        target = importlib.import_module(f"fuzz.targets.{arguments.target}")
    # Libraries log each response that they cannot parse.
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        found = str(arguments.found or os.path.join(scratch, "found"))
        os.makedirs(found, exist_ok=True)
        words = os.path.join(scratch, "words")
        with open(words, "w", encoding="ascii") as file:
            file.writelines(f'"{_escaped(word)}"\n' for word in getattr(target, "WORDS", (b"\xff",)))
        options = [
            f"-dict={words}",
            f"-seed={arguments.seed}",
            f"-runs={arguments.runs}",
            f"-max_total_time={arguments.seconds}",
            f"-artifact_prefix={os.path.join(found, '')}",
            "-max_len=4096",
            "-timeout=30",
            "-rss_limit_mb=4096",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, found, str(kept)], target.check)
        atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


if __name__ == "__main__":
    main()
