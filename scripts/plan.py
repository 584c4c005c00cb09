"""Write and print the plan of each night in a folder of raw frames, and a template for the observer's own rules.

python scripts/plan.py "$(yq --output-format json mine.yaml)" \
    --out results/20240301/plan.csv --planned results/logs/planned_20240301.csv \
    --summary results/logs/summary_20240301.json
"""

import json
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.config import read_run_config
from nightcal.io.atomic import write_text
from nightcal.planning.night_template import write_template
from nightcal.planning.plan_table import describe_plan
from nightcal.planning.summary import summarise_plan, write_summary
from nightcal.planning.summary_text import describe_summary

HOME = Path(__file__).parents[1]


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("config", type=json.loads, help="configuration as JSON, with the keys of config/config.yaml")
    arguments.add_argument("--out", nargs="+", type=Path, required=True, help="plan.csv of each night")
    arguments.add_argument("--planned", nargs="+", type=Path, required=True, help="copies that stay as planned")
    arguments.add_argument("--summary", nargs="+", type=Path, required=True, help="what will be done and not (JSON)")
    args = arguments.parse_args()
    plan = read_run_config(args.config, HOME).plan
    summaries = [summarise_plan(plan, path.parent.name) for path in args.out]
    for path, planned, summary, json_path in zip(args.out, args.planned, summaries, args.summary, strict=True):
        table = plan.table(summary.night)
        write_text(path, table)
        write_text(planned, table)
        write_text(json_path, write_summary(summary))
        write_template(path.parent, summary.night, plan.find_entries(summary.night))
    for summary, path in zip(summaries, args.out, strict=True):
        told = [*describe_plan(plan, summary.night), "", *describe_summary(summary, args.config["raw"])]
        print(f"Night {summary.night}, every frame in {path}:", *(f"  {line}".rstrip() for line in told), sep="\n")


if __name__ == "__main__":
    run(main)
