"""Compare nightcal with other programs and print a table.

python -m benchmarks stack_bias_16x4096 science_4096 --repeat 5
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.cases import CASES, Workplace, check_names
from benchmarks.contest import as_record, hold
from benchmarks.peers import another_nightcal
from benchmarks.surroundings import describe
from benchmarks.table import as_markdown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare nightcal with other programs.")
    parser.add_argument("cases", nargs="*", help=f"any of {', '.join(CASES)}; none: all")
    parser.add_argument("--repeat", type=int, default=3, help="rounds (%(default)s)")
    parser.add_argument("--small", action="store_true", help="a quick try on small frames; the times mean nothing")
    parser.add_argument("--peers", nargs="+", default=[], help="with_ccdproc, with_banzai ...; nightcal always runs")
    parser.add_argument("--beside", type=Path, help="another checkout of nightcal, run in turn with this one")
    parser.add_argument("--work", type=Path, default=Path("bench"), help="folder for frames and results (%(default)s)")
    parser.add_argument("--table", action="store_true", help="run nothing; print the table of earlier runs")
    return parser


def main() -> int:
    """Run the cases; return 1 if a result does not agree or a program failed."""
    args = _parser().parse_args()
    names = check_names(args.cases)
    if args.beside:
        os.environ[another_nightcal.VARIABLE] = str(args.beside)
    place = Workplace((args.work / "small" if args.small else args.work).resolve(), args.small)
    records = place.work / "records"
    records.mkdir(parents=True, exist_ok=True)
    for name in [] if args.table else names:
        contenders = hold(name, CASES[name], place, args.repeat, args.peers)
        (records / f"{name}.json").write_text(json.dumps(as_record(CASES[name], contenders, place.small), indent=1))
    peers = list(dict.fromkeys(peer for name in names for peer in CASES[name].peers))
    print(f"{describe(peers)}\nLoad when this was printed: {os.getloadavg()[0]:.1f}.\n\n{as_markdown(records, names)}")
    return 1 if _complaints(records, names) else 0


def _complaints(records: Path, names: list[str]) -> list[str]:
    """List the rows that failed or do not agree."""
    found = []
    for name in names:
        path = records / f"{name}.json"
        for row in json.loads(path.read_text())["rows"] if path.exists() else []:
            if row["agrees"] is False or row["reason"].startswith("failed"):
                found.append(f"{name}: {row['label']}: {row['reason'] or 'does not agree with nightcal'}")
    for line in found:
        print(line, file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
