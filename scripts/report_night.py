"""Write the report of a night: what happened to every raw frame.

python scripts/report_night.py --planned results/logs/planned_20240301.csv --plan results/20240301/plan.csv \
    --summary results/logs/summary_20240301.json --out results/20240301/report.html results/20240301/summary.json \
    --tables results/20240301/{masters/verdicts,calibrations,frames,obscore}.csv
"""

from functools import partial
from pathlib import Path

from nightcal import report
from nightcal.cli import make_parser, run
from nightcal.io.atomic import write_text
from nightcal.io.keywords import read_warnings
from nightcal.masters.trends import write_trend_table, write_verdict_table
from nightcal.planning.summary import complete_summary, read_summary, write_summary
from nightcal.science.common_stars import read_catalog_stars
from nightcal.science.crosscheck import read_crosscheck
from nightcal.science.frame_quality import add_quality, grade_frames, write_quality_table
from nightcal.science.obscore import write_obscore
from nightcal.science.persistent_hits import describe_hits


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("--planned", type=Path, required=True, help="the plan before the reduction")
    arguments.add_argument("--summary", type=Path, required=True, help="the summary before the reduction")
    arguments.add_argument("--plan", type=Path, required=True, help="plan.csv; frames that failed later are entered")
    arguments.add_argument("--crosschecks", nargs="+", default=[], type=Path, help="comparisons with ccdproc (JSON)")
    arguments.add_argument("--hits", nargs="+", default=[], type=Path, help="pixels that are hit in most frames")
    arguments.add_argument("--remark", action="append", default=[], help="a sentence for the top of the page")
    arguments.add_argument("--raw", default="", help="folder of the raw frames, for commands in the report")
    arguments.add_argument("--out", nargs=2, type=Path, required=True, help="the page, and what was done and not")
    arguments.add_argument("--tables", nargs=4, type=Path, required=True, help="verdicts, masters, grades, ObsCore")
    args = arguments.parse_args()
    planned = report.read_table(args.planned.read_text(encoding="utf-8"))
    products = report.read_products(args.plan.parent, planned)
    rows = report.amend(planned, products)
    if rows != report.read_table(args.plan.read_text(encoding="utf-8")):
        write_text(args.plan, report.write_table(rows))
    verdicts = report.read_verdicts(args.plan.parent, products)
    before = read_summary(args.summary.read_text(encoding="utf-8"))
    science = {path: header for path, header in products.items() if path.startswith("science/")}
    filters = {row["product"]: row["filter"] for row in rows}
    grades = grade_frames(science, filters, partial(read_catalog_stars, args.plan.parent))
    summary = complete_summary(before, rows, products, report.describe_masters(verdicts, products))
    summary = add_quality(summary, grades, map(read_warnings, science.values()))
    tables = write_verdict_table(verdicts), write_trend_table(verdicts), write_quality_table(science, filters, grades)
    remarks = [*args.remark, *filter(None, map(describe_hits, args.hits))]
    checks = list(map(read_crosscheck, args.crosschecks))
    pictures = report.read_thumbnails(args.plan.parent, products)
    page = report.make_report(summary, rows, products, checks, args.raw, remarks, verdicts, grades, pictures)
    texts = page, write_summary(summary), *tables, write_obscore(science, filters)
    for path, text in zip([*args.out, *args.tables], texts, strict=True):
        write_text(path, text)


if __name__ == "__main__":
    run(main)
