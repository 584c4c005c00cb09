"""Write and print the plan of each night in a folder of raw frames.

python scripts/plan.py "$(yq --output-format json mine.yaml)" \
    --out results/20240301/plan.csv --planned results/logs/planned_20240301.csv
"""

import json
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.config import read_run_config
from nightcal.io.atomic import write_text

HOME = Path(__file__).parents[1]


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("config", type=json.loads, help="configuration as JSON, with the keys of config/config.yaml")
    arguments.add_argument("--out", nargs="+", type=Path, required=True, help="plan.csv of each night")
    arguments.add_argument("--planned", nargs="+", type=Path, required=True, help="copies that stay as planned")
    args = arguments.parse_args()
    plan = read_run_config(args.config, HOME).plan
    for path, planned in zip(args.out, args.planned, strict=True):
        table = plan.table(path.parent.name)
        write_text(path, table)
        write_text(planned, table)
        print(table)


if __name__ == "__main__":
    run(main)
