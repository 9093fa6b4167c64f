"""Fuzz for hours by hand: ``PYTHONPATH=tests python -m fuzz recordings --cases 5000``."""

import argparse
import sys
from pathlib import Path

from fuzz.kinds import KINDS
from fuzz.runner import faults, peak_bytes

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("kinds", nargs="*", default=sorted(KINDS), help=f"of {', '.join(KINDS)}; all by default")
parser.add_argument("--cases", type=int, default=100, help="of each kind")
parser.add_argument("--seed", type=int, default=0, help="the first one")
parser.add_argument("--keep", type=Path, help="a folder for the files that did harm")
args = parser.parse_args()

n_faults = 0
for kind in args.kinds:
    found = [x for x in faults(kind, range(args.seed, args.seed + args.cases), args.keep) if x]
    n_faults += len(found)
    print(f"{kind}: {args.cases} cases, {len(found)} faults, peak {peak_bytes() >> 20} MiB", flush=True)
    for fault in found:
        print(f"  seed {fault.seed}: {fault.command}: {fault.what}".replace("\n", " ")[:400], flush=True)
sys.exit(1 if n_faults else 0)
