"""Fail if no science frame of a night was calibrated, or every file rejected; if strict, also for anything not done.

python scripts/check_night.py results/20240301/summary.json --strict
"""

import sys
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.planning.summary import read_summary
from nightcal.planning.summary_text import find_failure, list_shortcomings


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("summary", type=Path, help="summary of a reduced night")
    arguments.add_argument("--strict", action="store_true", help="fail if a frame was rejected or a step skipped")
    arguments.add_argument("--allow-uncalibrated", action="store_true", help="succeed without calibrated frames")
    args = arguments.parse_args()
    summary = read_summary(args.summary.read_text(encoding="utf-8"))
    failure = "" if args.allow_uncalibrated else find_failure(summary)
    if failure:
        sys.exit(f"Night {summary.night}: {failure}. If that is wanted: uncalibrated=allow.")
    shortcomings = list_shortcomings(summary) if args.strict else []
    if shortcomings:
        sys.exit(f"Night {summary.night} (strict): {'; '.join(shortcomings)}. Everything else is done.")


if __name__ == "__main__":
    run(main)
