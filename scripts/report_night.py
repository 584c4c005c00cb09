"""Write the report of a night: what happened to every raw frame.

python scripts/report_night.py 20240301 --planned results/logs/planned_20240301.csv \
    --plan results/20240301/plan.csv --out results/20240301/report.html
"""

from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.io.atomic import write_text
from nightcal.report import amend, make_report, read_products, read_table, write_table
from nightcal.science.crosscheck import read_crosscheck


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("night", help="date of the evening")
    arguments.add_argument("--planned", type=Path, required=True, help="the plan before the reduction")
    arguments.add_argument(
        "--plan", type=Path, required=True, help="plan.csv, in which frames that failed later are entered"
    )
    arguments.add_argument("--crosschecks", nargs="+", default=[], type=Path, help="comparisons with ccdproc (JSON)")
    arguments.add_argument("--out", type=Path, required=True, help="the page")
    args = arguments.parse_args()
    planned = read_table(args.planned.read_text(encoding="utf-8"))
    products = read_products(args.plan.parent, planned)
    rows = amend(planned, products)
    if rows != read_table(args.plan.read_text(encoding="utf-8")):
        write_text(args.plan, write_table(rows))
    write_text(args.out, make_report(args.night, rows, products, [read_crosscheck(path) for path in args.crosschecks]))


if __name__ == "__main__":
    run(main)
