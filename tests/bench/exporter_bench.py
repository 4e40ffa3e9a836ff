"""What a scrape and a collection cost: `.venv/bin/python tests/bench/exporter_bench.py`.

One nation in one zone (the stand-in), one run. **bic exporter** is the process as it is deployed, with TLS
and password; **naive exporter** is the client library's own server with the same collectors, which asks for
each scrape. A few scrapers ask at the same time, each over a connection that it keeps, as Prometheus does.

A collection is one reading of what a zone and each facility store, from catalogues of growing size; their
data objects, with one replica each, are put into the stand-in's database directly.

These are no tests: a busy machine changes the seconds, and hardly the ratios.
"""

import argparse
import base64
import http.client
import json
import math
import os
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

from call_log import CallLog
from local_zone import PASSWORD, PASSWORD_VARIABLE, Pki, free_port, make_pki, write_nation
from rich.console import Console
from serve import server_process
from table import Results, Row, Target, plain_table
from zone_bench import LOGIN

from controlplane.generate.nation import Nation
from controlplane.model import load_platform
from controlplane.systems.irods.client import IrodsError
from controlplane.systems.irods.metrics import Usage

SCRAPE_VARIABLE = "BIC_BENCH_SCRAPE_PASSWORD"
DEADLINE = 1800.0
"""Seconds until every collector must have succeeded once."""

MAX_P99 = 0.010
MIN_RATIO = 10.0
MAX_MIB = 512.0
"""What the unit of the exporter may use (`controlplane_memory_max`)."""

MAX_GROWTH = 1.1
"""How much the seconds for a data object may grow: linear growth is 1, the rest is noise."""


@dataclass(frozen=True)
class Scrapes:
    """How one exporter answered."""

    arm: str
    scrapers: int
    scrapes: int
    bytes: int
    """Of one answer."""
    p50: float
    """Seconds."""
    p99: float
    peak_mib: float

    @classmethod
    def of(
        cls, arm: str, scrapers: int, seconds: Sequence[float], size: int, process: "subprocess.Popen[bytes]"
    ) -> "Scrapes":
        """What the durations of scrapes say, and how much memory the process ever needed."""
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
        (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
        peak = int(line.split()[1]) / 1024
        p50, p99 = percentile(seconds, 0.5), percentile(seconds, 0.99)
        return cls(arm, scrapers, len(seconds), size, p50, p99, peak)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of all does not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


@dataclass(frozen=True)
class Load:
    """How an exporter is asked."""

    scrapers: int
    pause: float
    """Seconds after each scrape."""


class Scraper:
    """Asks an exporter over a connection that it keeps."""

    def __init__(self, port: int, pki: Pki) -> None:
        """Connect with the first scrape."""
        context = ssl.create_default_context(cafile=str(pki.ca_file))
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=600, context=context)
        login = base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}"}

    def scrape(self) -> tuple[float, bytes]:
        """The seconds until an answer was read, and the answer."""
        begun = time.perf_counter()
        self._connection.request("GET", "/metrics", headers=self._headers)
        answer = self._connection.getresponse()
        page = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"the exporter answers {answer.status}")
        return time.perf_counter() - begun, page

    def scrapes(self, number: int, pause: float) -> list[float]:
        """The seconds of some scrapes, with a pause after each; the first, which connects, does not count."""
        self.scrape()
        seconds = []
        for _ in range(number):
            seconds.append(self.scrape()[0])
            time.sleep(pause)
        return seconds


class ExporterBench:
    """The measurements, one after the other, on one zone."""

    def __init__(self, folder: Path, nation: Nation, results: Results) -> None:
        """Know what is to be measured; nothing is made yet."""
        self.folder, self.nation, self.results = folder, nation, results
        self.pki = make_pki(folder / "pki")
        self.inventory = folder / "inventory"
        self.scrapes: list[Scrapes] = []
        os.environ[PASSWORD_VARIABLE] = os.environ[SCRAPE_VARIABLE] = PASSWORD

    @contextmanager
    def zone(self) -> Iterator[CallLog]:
        """A zone that is as the inventory wants it, until the block ends; its calls."""
        log = self.folder / "calls.jsonl"
        with server_process(self.folder / "server", self.pki, log) as port:
            write_nation(self.inventory, self.nation, self.pki.ca_file, {"bicZone": port})
            with (self.inventory / "platform.yml").open("a", encoding="utf-8") as file:
                file.write(f"scrape: {{password: {{env: {SCRAPE_VARIABLE}}}}}\n")
            command = [sys.executable, "-m", "controlplane", "-i", str(self.inventory), "apply", "--yes"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"bic apply: {done.stdout[-2000:]}{done.stderr[-2000:]}")
            yield CallLog(log)

    def measure_scrapes(self, load: Load, ours: int, naive: int) -> None:
        """Scrape both exporters, each that often by each scraper."""
        server = self.pki.server
        certificate, key = str(server.certificate_chain_file), str(server.certificate_key_file)
        port = free_port()
        listen = ["--listen", f"127.0.0.1:{port}", "--tls-cert", certificate, "--tls-key", key]
        bic = [sys.executable, "-m", "controlplane", "-i", str(self.inventory), "exporter", *listen]
        self._scrape("bic exporter", bic, port, load, ours)
        port = free_port()
        program = str(Path(__file__).with_name("naive_exporter.py"))
        other = [sys.executable, program, str(self.inventory), str(port), certificate, key]
        self._scrape("naive exporter", other, port, load, naive)
        first, second = self.scrapes
        ratio = second.p50 / first.p50
        self.results.targets += [
            Target(
                f"p99 of a scrape with {load.scrapers} scrapers",
                f"under {MAX_P99 * 1000:.0f} ms",
                f"{first.p99 * 1000:.1f} ms",
                first.p99 < MAX_P99,
            ),
            Target(
                "p50 of a scrape of the naive exporter, by that of bic exporter",
                f"{MIN_RATIO:.0f} times or more",
                f"{ratio:,.0f} times",
                ratio >= MIN_RATIO,
            ),
            Target(
                f"peak memory of bic exporter (naive exporter: {second.peak_mib:.0f} MiB, "
                f"{first.peak_mib / second.peak_mib:.2f} times that)",
                f"at most {MAX_MIB:.0f} MiB",
                f"{first.peak_mib:.0f} MiB",
                first.peak_mib <= MAX_MIB,
            ),
        ]

    def _scrape(self, arm: str, command: Sequence[str], port: int, load: Load, number: int) -> None:
        with (self.folder / f"{arm}.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log)
        try:
            size = self._ready(arm, process, port)
            with ThreadPoolExecutor(load.scrapers) as workers:
                asked = [
                    workers.submit(Scraper(port, self.pki).scrapes, number, load.pause)
                    for _ in range(load.scrapers)
                ]
                seconds = [one for some in asked for one in some.result()]
            self.scrapes.append(Scrapes.of(arm, load.scrapers, seconds, size, process))
        finally:
            process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        print(f"{arm}: {len(seconds)} scrapes", file=sys.stderr, flush=True)

    def _ready(self, arm: str, process: "subprocess.Popen[bytes]", port: int) -> int:
        """Wait until a page tells what facilities store; its size. The collectors' own state must be good."""
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end and process.poll() is None:
            try:
                _, page = Scraper(port, self.pki).scrape()
            except (ConnectionError, ssl.SSLError):
                page = b""
            if b"\nbic_irods_quota_limit_bytes{" in page and not _down(page):
                return len(page)
            time.sleep(1)
        said = (self.folder / f"{arm}.log").read_text("utf-8")[-2000:]
        raise RuntimeError(f"the {arm} has not read everything: {said}")

    def measure_collections(self, sizes: Sequence[int], calls: CallLog) -> None:
        """Read what is stored at growing numbers of data objects."""
        platform = load_platform(self.inventory)
        (zone,) = platform.zones.values()
        collector = Usage(platform, zone)
        catalogue = self.folder / "server" / "catalogue.db"
        held = 0
        for size in sorted(sizes):
            _add_data_objects(catalogue, held, size)
            held = size
            calls.new()
            begun, cpu = time.perf_counter(), time.process_time()
            try:
                counted = [
                    sample.value
                    for metric in collector.collect()
                    if metric.name == "bic_irods_facility_replicas"
                    for sample in metric.samples
                ]
            except IrodsError as error:
                waited = time.perf_counter() - begun
                self.results.failures.append(
                    f"a collection of {size:,} data objects ended after {waited:.0f} s: {error}"
                )
                break
            seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
            if sum(counted) != size:
                raise RuntimeError(f"{sum(counted):,.0f} of {size:,} data objects were counted")
            asked = calls.new()
            logins = sum(call.name == LOGIN for call in asked)
            work, arm = "collection", f"{size:,} data objects"
            facilities, people = self.nation.facilities, self.nation.people
            row = Row(facilities, people, work, arm, len(asked), logins, seconds, cpu)
            self.results.rows.append(row)
            print(f"{row.arm}: {row.requests} requests, {seconds:.2f} s", file=sys.stderr, flush=True)
        if self.results.rows:
            self._growth(sorted(sizes)[: len(self.results.rows)], collector.budget)

    def _growth(self, sizes: Sequence[int], budget: float) -> None:
        rows = self.results.rows[-len(sizes) :]
        first, last = rows[0], rows[-1]
        requests, seconds = last.requests / first.requests, last.seconds / first.seconds
        objects = sizes[-1] / sizes[0]
        self.results.targets += [
            Target(
                f"requests of a collection at {objects:,.0f} times the data objects",
                "as many",
                f"{requests:.2f} times",
                requests == 1,
            ),
            Target(
                f"seconds of a collection at {objects:,.0f} times the data objects",
                f"at most {MAX_GROWTH * objects:,.0f} times",
                f"{seconds:.1f} times",
                seconds <= MAX_GROWTH * objects,
            ),
            Target(
                f"a collection of {sizes[-1]:,} data objects",
                f"within its budget of {budget:.0f} s",
                f"{last.seconds:.1f} s",
                last.seconds <= budget,
            ),
        ]


def _down(page: bytes) -> bool:
    """Whether a collector of this page has not succeeded; the naive exporter's page has no word of that."""
    lines = [line for line in page.decode().splitlines() if line.startswith("bic_collector_up{")]
    return any(not line.endswith(" 1.0") for line in lines)


def _add_data_objects(catalogue: Path, held: int, wanted: int) -> None:
    """Let the zone hold that many data objects, in the homes of facilities and teams one after the other."""
    with closing(sqlite3.connect(catalogue, timeout=600)) as database, database:
        homes = database.execute(
            "select coll_id from r_coll_main join r_user_main on coll_name = '/bicZone/home/' || user_name"
            " where user_type_name = 'rodsgroup' and user_name <> 'public' order by coll_id"
        ).fetchall()
        storage = database.execute(
            "select resc_id from r_resc_main where resc_type_name = 'unixfilesystem' order by resc_id"
        ).fetchall()
        for table, rows in (("home", homes), ("storage", storage)):
            database.execute(f"create temp table {table} (number integer primary key, id integer)")
            numbered = [(number, *row) for number, row in enumerate(rows)]
            database.executemany(f"insert into {table} values (?, ?)", numbered)  # noqa: S608
        # In the order of the catalogue's indexes, which makes it fast.
        database.execute(
            _INSERT, {"held": held, "wanted": wanted, "homes": len(homes), "storage": len(storage)}
        )


_INSERT = """
with recursive number(n) as
    (select :held union all select n + 1 from number where n + 1 < :wanted)
insert into r_data_main
    (data_id, coll_id, data_name, data_repl_num, data_size, resc_id, data_path, data_owner_name,
     data_owner_zone, data_is_dirty, create_ts, modify_ts, access_ts)
select
    1000000000 + n, home.id, printf('object-%010d', n), 0, 1000 + n % 1000, storage.id, '', 'rods',
    'bicZone', 1, '01700000000', '01700000000', '01700000000'
from number
join home on home.number = (n - :held) * :homes / (:wanted - :held)
join storage on storage.number = n % :storage
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facilities", type=int, default=30)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--teams", type=int, default=1600)
    parser.add_argument("--scrapers", type=int, default=4, help="who scrape at the same time (%(default)s)")
    parser.add_argument("--scrapes", type=int, default=250, help="by each of them (%(default)s)")
    parser.add_argument(
        "--naive-scrapes", type=int, default=5, help="of the naive exporter, by each (%(default)s)"
    )
    parser.add_argument("--pause", type=float, default=0.1, help="seconds after each scrape (%(default)s)")
    parser.add_argument(
        "--objects", type=int, nargs="*", default=[10**4, 10**5, 10**6, 10**7], help="sizes of the catalogue"
    )
    parser.add_argument("--json", action="store_true", help="write the results as JSON")
    options = parser.parse_args()
    nation = Nation(options.facilities, options.people, options.teams)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="bic-exporter-bench-") as folder:
        bench = ExporterBench(Path(folder), nation, results)
        with bench.zone() as calls:
            load = Load(options.scrapers, options.pause)
            bench.measure_scrapes(load, options.scrapes, options.naive_scrapes)
            if options.objects:
                bench.measure_collections(options.objects, calls)
    if options.json:
        document = {**results.document(), "scrapes": [asdict(one) for one in bench.scrapes]}
        json.dump(document, sys.stdout, indent=2)
        print()
    else:
        _show(bench.scrapes)
        results.show()


def _show(scrapes: Sequence[Scrapes]) -> None:
    rows = (
        (
            one.arm,
            str(one.scrapers),
            f"{one.scrapes:,}",
            f"{one.bytes / 1024:,.0f}",
            f"{one.p50 * 1000:,.1f}",
            f"{one.p99 * 1000:,.1f}",
            f"{one.peak_mib:,.0f}",
            "",
        )
        for one in scrapes
    )
    numbers = ("scrapers", "scrapes", "KiB", "p50 ms", "p99 ms", "peak MiB")
    Console(width=150).print(plain_table(("exporter",), numbers, rows))


if __name__ == "__main__":
    main()
