"""A program under gevent: datasets are read from many greenlets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from patience import PATIENCE
from places import place_on

PROGRAM = """
from gevent import monkey

monkey.patch_all()
import json, sys
import connectors
from gevent.pool import Pool

location, document = json.loads(sys.argv[1])
dataset = connectors.Dataset(location, document)

def read(start):
    with dataset.open() as file:
        file.seek(start)
        return len(file.read())

print(json.dumps(Pool(8).map(read, range(0, 3200, 100))))
"""
DATA = bytes(range(256)) * 4000


@pytest.mark.parametrize("kind", ["local file", "S3", "presigned PUT", "Azure"])
def test_datasets_are_read_under_gevent(kind, request):
    place = place_on(kind, request.getfixturevalue, "under-gevent")
    place.writer().write_bytes(DATA)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(place.reads)],
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == [len(DATA) - start for start in range(0, 3200, 100)]
