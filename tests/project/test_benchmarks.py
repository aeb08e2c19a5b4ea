"""The benchmarks run: every case at sizes that a test can afford, and the report that is made of them."""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import socket
import socketserver
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import servers
from hostile import Answer, hostile_server

from benchmarks.cases.s3 import CRT
from benchmarks.counting import RequestCounter
from benchmarks.link import HOST, Limits, Rate, linked
from benchmarks.targets import targets

ROOT = Path(__file__).parents[2]
OURS = {
    "crypto": {"cobblestone-256", "tink-gcm-hkdf 4 KiB", "tink-gcm-hkdf 1 MiB", "gcm"},
    "local": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "gcm", "cobblestone-256, one read", "gcm, from memory"},
    "http": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "s3": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "azure": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "gcs": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "link": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "not sealed"},
    "random_reads": {"cobblestone-256", "tink-gcm-hkdf 64 KiB"},
    "small_objects": {"sealed"},
    "parquet": {"cobblestone-256", "tink-gcm-hkdf 1 MiB"},
    "processes": {"import connectors", "connectors --version"},
    "memory": {"cobblestone-256", "tink-gcm-hkdf 1 MiB", "gcm"},
    "workers": {"local, sealed", "S3, sealed"},
    "workflows": {"20 datasets, 4 applications", "40 datasets, 8 applications"},
}
"""The contenders of each case that are this package's own."""
NETWORKS = {"http", "s3", "azure", "gcs", "link", "small_objects"}
"""The cases that measure what clients cost over a network: their requests and CPU seconds."""


def run(output: Path, *options: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "--output", str(output), *options]
    environment = {**os.environ, "TMPDIR": str(output)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return done.stdout


def without_npm_skip() -> None:
    try:
        servers.azurite_program()
    except servers.NpmMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("case", OURS)
def test_every_case_runs_and_is_reported(case, tmp_path):
    if case == "azure":
        without_npm_skip()
    rows = json.loads(run(tmp_path, "--only", case, "--size", "tiny", "--rounds", "1", "--json"))
    ours = [row for row in rows if row["contender"] in OURS[case]]
    assert {row["contender"] for row in ours} == OURS[case]
    for row in ours:
        assert "not_run" not in row, row
        assert row["case"] == case
        assert row["seconds"], row
        numbers = [*row["seconds"], *(row[name] for name in ("bytes_per_second", "ratio", "peak") if row.get(name))]
        assert all(math.isfinite(number) and number > 0 for number in numbers), row

    for row in rows:
        if case in NETWORKS and not row["operation"].startswith("local: "):
            if row["contender"] == CRT:
                assert "awscrt" in row["not_run"]
                continue
            assert "not_run" not in row, row
            assert row["requests"] >= 1, row
            assert row["cpu_seconds"][0] > 0, row
            assert row["operation"] != "read" or row["fetched"] >= row["size"], row

    report = (tmp_path / "RESULTS.md").read_text()
    assert f"--only {case} " in report
    for row in rows:
        assert row["contender"] in report
        assert f"not run: {row['not_run']}" in report if "not_run" in row else True
    shown = {line.partition("(")[2].rstrip(")") for line in report.splitlines() if line.startswith("![")}
    assert shown == {f"plots/{path.name}" for path in (tmp_path / "plots").iterdir()}


def test_report_needs_no_measuring_and_a_run_replaces_only_its_rows(tmp_path):
    run(tmp_path, "--only", "processes", "--size", "tiny", "--rounds", "1")
    results, report = (tmp_path / "results.json").read_bytes(), (tmp_path / "RESULTS.md").read_text()
    (tmp_path / "RESULTS.md").unlink()
    run(tmp_path, "--report")
    assert (tmp_path / "results.json").read_bytes() == results
    assert (tmp_path / "RESULTS.md").read_text() == report

    before = json.loads(results)
    before["cases"]["http"] = {**before["cases"]["processes"], "rows": []}
    (tmp_path / "results.json").write_text(json.dumps(before))
    run(tmp_path, "--only", "processes", "--size", "tiny", "--rounds", "2")
    after = json.loads((tmp_path / "results.json").read_text())
    assert after["cases"]["http"] == before["cases"]["http"]
    assert all(len(row["seconds"]) == 2 for row in after["cases"]["processes"]["rows"])


def measured(case: str, what: str, rows: list[dict[str, object]]) -> list[float | None]:
    """Return the measured numbers of the targets whose description has a text, given the rows of a case."""
    results = {"cases": {case: {"rows": rows}}}
    return [target.measured(results) for target in targets() if what in target.what]


def s3_row(contender: str, *seconds: float, size: int = 1 << 30, **more: object) -> dict[str, object]:
    return {"operation": "read", "contender": contender, "size": size, "seconds": list(seconds), **more}


def test_targets_compare_with_the_fastest_way_of_a_peer():
    ours, streamed = s3_row("cobblestone-256", 3.0, 3.0, 3.0), s3_row("obstore, plain", 6.0, 6.0, 6.0)
    ranges = s3_row("obstore ranges, plain", 1.5, 1.0, 1.5)
    what = "s3, read: cobblestone-256 relative to the fastest of: obstore"
    assert measured("s3", what, [ours, streamed, ranges]) == [0.5]
    assert measured("s3", what, [ours, streamed, s3_row("obstore ranges, plain", not_run="missing")]) == [2.0]
    assert measured("s3", what, [ours]) == [None]


def test_targets_of_requests_need_an_object_of_a_gibibyte():
    what = "s3, read: requests for 1 GiB"
    assert measured("s3", what, [s3_row("cobblestone-256", 1.0, requests=9)]) == [9]
    assert measured("s3", what, [s3_row("cobblestone-256", 1.0, requests=3, size=1 << 20)]) == [None]


def test_targets_compare_cpu_seconds_round_by_round():
    ours = s3_row("cobblestone-256", 1.0, 1.0, 1.0, cpu_seconds=[0.2, 0.5, 0.2])
    theirs = s3_row("s3fs, plain", 1.0, 1.0, 1.0, cpu_seconds=[1.0, 1.0, 0.5])
    assert measured("s3", "CPU seconds", [ours, theirs]) == [0.4]
    assert measured("s3", "CPU seconds", [ours, s3_row("s3fs, plain", 1.0)]) == [None]


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that sends back what it receives."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while data := self.request.recv(1 << 16):
                self.request.sendall(data)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: connections are cut here."""

    with Server((HOST, 0), Handler) as server, ThreadPoolExecutor(1) as pool:
        serving = pool.submit(server.serve_forever, 0.01)
        yield server.server_address[1]
        server.shutdown()
        serving.result()


def exchange(port: int, data: bytes) -> bytes:
    """Send data and its end, and return what comes back."""
    with socket.create_connection((HOST, port)) as client, ThreadPoolExecutor(1) as pool:

        def send() -> None:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)

        sending = pool.submit(send)
        with client.makefile("rb") as file:
            received = file.read()
        sending.result()
        return received


@pytest.mark.parametrize("limits", [Limits(), Limits(latency=4, per_connection=100e6, total=150e6)])
def test_link_passes_bytes_on_unchanged_and_counts_them(echo, limits):
    data = [random.Random(number).randbytes(1_500_000 + number) for number in range(3)]
    with linked(echo, limits) as link, ThreadPoolExecutor(len(data)) as pool:
        assert list(pool.map(exchange, [link.port] * len(data), data)) == data
        traffic = link.traffic()
    total = sum(map(len, data))
    assert (traffic.connections, traffic.sent, traffic.received) == (len(data), total, total)
    assert (traffic.cut, traffic.requests) == (0, 0)


def test_link_counts_http_requests_on_each_connection():
    with hostile_server(lambda request: Answer(body=request.body * 2)) as (url, seen):
        with linked(urlsplit(url).port, Limits(latency=2)) as link:
            for body in (b"", b"GET / HTTP/1.1\r\n\r\n"):
                connection = http.client.HTTPConnection(HOST, link.port)
                connection.request("PUT", "/object", body)
                assert connection.getresponse().read() == body * 2
                connection.close()
            traffic = link.traffic()
    assert (traffic.connections, traffic.requests) == (2, 2) == (len(seen), len(seen))


def test_link_cuts_connections_near_the_given_number_of_bytes(echo):
    with linked(echo, Limits(cut_after=1e6, seed=7)) as link:
        for _ in range(3):
            with pytest.raises(ConnectionError):
                exchange(link.port, bytes(2_000_000))
        traffic = link.traffic()
    assert (traffic.connections, traffic.cut) == (3, 3)
    assert traffic.sent + traffic.received <= 3 * 1.5e6


def test_link_to_a_closed_port_resets_its_connections():
    with linked(servers.free_port(), Limits()) as link:
        with pytest.raises(ConnectionError):
            exchange(link.port, b"37.2")


def test_rate_schedules_bytes_one_after_the_other_without_bursts():
    now = [10.0]
    rate = Rate(1000.0, lambda: now[0])
    assert [rate.passed(500), rate.passed(500)] == [10.5, 11.0]
    now[0] = 20.0  # an idle link saves nothing up
    assert rate.passed(1000) == 21.0
    now[0] = 20.5
    assert rate.passed(500) == 21.5
    assert Rate(None, lambda: now[0]).passed(1 << 40) == 20.5


def test_cuts_are_drawn_around_the_given_bytes_or_by_probability():
    chance = random.Random(1)
    assert Limits().cut(chance) == math.inf
    drawn = [Limits(cut_after=1000.0).cut(chance) for _ in range(1000)]
    assert 500 <= min(drawn) < 550
    assert 1450 < max(drawn) <= 1500
    survive = sum(Limits(cut_per_mib=0.25).cut(chance) > 1 << 20 for _ in range(4000))
    assert 0.72 < survive / 4000 < 0.78


@pytest.mark.parametrize("wrong", [{"latency": -1}, {"per_connection": 0}, {"total": -1}, {"cut_per_mib": 1}])
def test_link_refuses_impossible_limits(wrong):
    with pytest.raises(ValueError, match="latency is at least 0"):
        Limits(**wrong)


def test_requests_are_counted_however_their_bytes_arrive():
    plain = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b"PUT /b HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n"
    chunked = b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n\r\n\r\n\r\n2;x=y\r\nab\r\n0\r\nT: 1\r\n\r\n"
    sent = (plain + body + chunked) * 2
    for size in (1, 2, 3, 7, 50, len(sent)):
        counter = RequestCounter()
        assert sum(counter.feed(sent[start : start + size]) for start in range(0, len(sent), size)) == 6
    assert RequestCounter().feed(b"SSH-2.0-client\r\n\r\n" + plain) == 0
    assert RequestCounter().feed(bytes(1 << 20) + b"\r\n\r\n" + plain) == 0
