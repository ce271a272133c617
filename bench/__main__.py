"""Run the whole benchmark suite, one benchmark after the other.

``python -m bench [--quick] [--json] [NAME ...]``

The suite takes under 15 minutes on two cores. Each benchmark prints its tables, ratios first, with two runs in fresh
processes side by side. ``--json`` also writes them to ``bench/results/``, with the versions of all packages that took
part. ``--quick`` makes one shorter run, under 2 minutes. Leave the machine idle meanwhile.
"""

import argparse
import subprocess
import sys
import time
from typing import Final

SUITE: Final = "inprocess endpoint instructions served memory handshake group sizes imports headers client".split()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", default=SUITE, metavar="NAME", help=", ".join(SUITE))
    parser.add_argument("--quick", action="store_true", help="fewer rounds of fewer messages, for a first look")
    parser.add_argument("--json", action="store_true", help="write bench/results/NAME.json")
    options = parser.parse_args()
    flags = [flag for flag, is_set in (("--quick", options.quick), ("--json", options.json)) if is_set]
    failed: list[str] = []
    for name in options.names:
        start = time.perf_counter()
        # bench.client has no --runs: its processes are new in every round anyway.
        runs = ["--runs", "1"] if options.quick and name != "client" else []
        code = subprocess.run([sys.executable, "-m", f"bench.{name}", *flags, *runs]).returncode
        failed += [name] if code else []
        print(f"bench.{name}: {time.perf_counter() - start:.0f} s\n", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
