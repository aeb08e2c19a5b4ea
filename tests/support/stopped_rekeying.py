"""Rekeying a local folder, in a process that is killed on the way.

Run as a program, this rekeys and kills itself: after a number of objects, at one of the steps after that or at any
moment after that. The steps are those that change files, which Python's audit events report.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import connectors

__all__ = ["rekey_until_killed"]

_STEPS = {"open", "os.chmod", "os.link", "os.remove", "os.rename"}
_MOST_STEPS, _MOST_SECONDS = 12, 0.004
"""What may happen after the last whole object: a little more than it takes to replace one."""


def rekey_until_killed(location: str, old: dict[str, Any], new: dict[str, Any], objects: int, chance: int) -> None:
    """Rekey a folder in a process of its own, which is killed after a number of objects.

    Args:
        location: the folder.
        old: its document.
        new: the new document.
        objects: files that are replaced before: objects, and the manifest when it is written.
        chance: chooses the moment after that.
    """
    arguments = json.dumps([location, old, new, objects, chance])
    done = subprocess.run([sys.executable, __file__, arguments], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr or "it was not killed on the way"


# The program.


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_soon(chance: random.Random) -> None:
    moment = chance.uniform(0, _MOST_SECONDS)

    def wait() -> None:
        time.sleep(moment)
        _die()

    threading.Thread(target=wait, daemon=True).start()


def _main(location: str, old: dict[str, Any], new: dict[str, Any], objects: int, seed: int) -> None:
    chance = random.Random(seed)
    steps = chance.randrange(_MOST_STEPS) if chance.random() < 0.5 else None
    left = {"objects": objects, "steps": steps}

    def count(event: str, _: tuple[object, ...]) -> None:
        if left["objects"] > 0:
            left["objects"] -= event == "os.rename"
        elif left["steps"] is None:
            left["steps"] = sys.maxsize
            _die_soon(chance)
        elif event in _STEPS:
            if left["steps"] == 0:
                _die()
            left["steps"] -= 1

    connectors.backends()  # imports what is needed
    connectors.rekey(location, old, new, dry_run=True)
    sys.addaudithook(count)
    connectors.rekey(location, old, new)


if __name__ == "__main__":
    _main(*json.loads(sys.argv[1]))
