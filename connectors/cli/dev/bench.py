"""``connectors bench``: how fast this machine decrypts and encrypts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from connectors.cli.common import console
from connectors.cli.common.exit_codes import UsageMistake
from connectors.cli.common.options import AsJson, example
from connectors.cli.dev import speed

__all__ = ["register"]

GIB = 1 << 30
_UNITS = ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command("bench", epilog=example("bench", "bench --size 500 --json"))(bench)


def bench(
    *,
    size: Annotated[float, typer.Option("--size", metavar="GIB", help="Size of the object to estimate for.")] = 100,
    seconds: Annotated[float, typer.Option("--seconds", help="Seconds for each measurement.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine decrypts and encrypts, and estimate the time for a large object.

    It runs in memory. A disk or network that is slower than these figures limits the real speed.
    """
    if not size > 0 or not seconds > 0 or max(size, seconds) == float("inf"):
        message = "--size and --seconds must be numbers above zero"
        raise UsageMistake(message)

    machine = speed.machine()
    speeds: list[speed.Speed] = []
    with console.progress("measuring") as callback:
        callback.set_size(len(speed.FORMATS))
        for name in speed.FORMATS:
            speeds.append(speed.measure(name, seconds))
            callback.relative_update(1)
    if as_json:
        console.print_json({"machine": machine, "size": int(size * GIB), "formats": [asdict(one) for one in speeds]})
        return
    processors = machine["processors"]
    console.print_line("{processor}, {processors} processors; {system}, Python {python}, {openssl}\n".format(**machine))
    console.table(
        ["Format", "Decrypts", "Of the bare cipher", f"{processors} at once", "Encrypts", f"Decrypting {size:g} GiB"],
        [
            [
                one.format,
                _rate(one.opened),
                f"{one.opened / one.cipher:.0%}",
                _rate(one.opened_by_all),
                _rate(one.sealed),
                _duration(size * GIB / one.opened),
            ]
            for one in speeds
        ],
    )


def _rate(rate: float) -> str:
    return f"{rate / 1e9:.2f} GB/s"


def _duration(seconds: float) -> str:
    for unit, name in _UNITS:
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.1f} seconds"
