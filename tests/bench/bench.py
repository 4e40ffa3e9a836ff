"""Benchmarks of the control plane against the stand-in for iRODS: `.venv/bin/python tests/bench/bench.py`.

They print ratios of what was measured in one run on one machine. They are no
tests: a busy machine changes them.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "harness"))

import pure_bench
from table import Results
from zone_bench import ZoneBench


def main() -> None:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="?", choices=("all", "zone", "pure"), default="all")
    parser.add_argument("--facilities", type=int, nargs="+", default=[1, 30, 300], help="sizes of the nation")
    parser.add_argument("--people", type=int, help="people of each nation, instead of 267 for a facility")
    parser.add_argument(
        "--sample", type=int, default=1, help="facilities that the loops do of a larger nation (%(default)s)"
    )
    parser.add_argument(
        "--pure-people", type=int, default=1_000_000, help="size of the pure part (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="write the results as JSON")
    options = parser.parse_args()
    results = Results()
    if options.part in ("all", "zone"):
        bench = ZoneBench(options.sample, results)
        for facilities in options.facilities:
            bench.measure(facilities, options.people)
        bench.growth()
    if options.part in ("all", "pure"):
        pure_bench.measure(options.pure_people, results)
    if options.json:
        json.dump(results.document(), sys.stdout, indent=2)
        print()
    else:
        results.show()


if __name__ == "__main__":
    main()
