"""Fail if a frame of a night was set aside, and say which.

python scripts/check_night.py results/20240301/plan.csv
"""

import sys
from pathlib import Path

from nightcal.cli import parser, run
from nightcal.report import SET_ASIDE, read_table


def main() -> None:
    arguments = parser(__doc__, frames=None)
    arguments.add_argument("plan", type=Path, help="plan.csv of a reduced night")
    args = arguments.parse_args()
    rows = [row for row in read_table(args.plan.read_text(encoding="utf-8")) if row["role"] == SET_ASIDE]
    for row in rows:
        print(f"{row['file']}: set aside: {row['reason']}.")
    if rows:
        sys.exit(f"strict: {len(rows)} frames were set aside; everything else is done.")


if __name__ == "__main__":
    run(main)
