"""Run the benchmarks: ``python -m benchmarks [NAME ...]``. Exit status 1 if a claim does not hold here."""

import importlib
import os
import pkgutil
import platform
import sys
from datetime import date

import benchmarks

LONG = {"calibration", "lost_decays", "verdicts"}
"""Benchmarks of many minutes that no other process's load changes: they run only where they are named."""


def main(names: list[str]) -> int:
    """Print one table a module, a row a claim: baseline, ours, their ratio, and the ratio claimed."""
    known = sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))
    if unknown := set(names) - set(known):
        print(f"no benchmark named {', '.join(sorted(unknown))}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    where = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{where}, {date.today().isoformat()}, load {os.getloadavg()[0]:.1f}")
    missed = 0
    for name in names or [name for name in known if name not in LONG]:
        print(f"\n{name}")
        for row in importlib.import_module(f"benchmarks.{name}").rows():
            print(row, flush=True)
            missed += not row.holds
    print(f"\n{missed} claim(s) missed" if missed else "\nevery claim holds")
    return int(missed > 0)


sys.exit(main(sys.argv[1:]))
