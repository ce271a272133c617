"""The whole suite, one benchmark after the other: ``python -m bench [--quick] [--json] [NAME ...]``

Under 15 minutes on two cores. Each prints its tables, ratios first, of two runs in fresh processes beside each other,
and with ``--json`` writes them to ``bench/results/``, with the versions of all that took part. ``--quick`` is one run
of less, under 2 minutes. Leave the machine alone meanwhile.
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
        runs = ["--runs", "1"] if options.quick and name != "client" else []
        code = subprocess.run([sys.executable, "-m", f"bench.{name}", *flags, *runs]).returncode
        failed += [name] if code else []
        print(f"bench.{name}: {time.perf_counter() - start:.0f} s\n", flush=True)
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
