"""List the rejected frames of a night, and fail if there are any.

python scripts/check_night.py results/20240301/plan.csv
"""

import sys
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.planning.plan import REJECTED
from nightcal.report import read_table


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("plan", type=Path, help="plan.csv of a reduced night")
    args = arguments.parse_args()
    rows = [row for row in read_table(args.plan.read_text(encoding="utf-8")) if row["role"] == REJECTED]
    for row in rows:
        print(f"{row['file']} rejected: {row['reason']}.")
    if rows:
        sys.exit(f"strict: {len(rows)} frames rejected; everything else is done.")


if __name__ == "__main__":
    run(main)
