"""List the calibration frames that should still be taken before the night ends, the most important ones first.

python scripts/missing.py "$(yq --output-format json mine.yaml)"
"""

import json
from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.config import make_options, read_run_config
from nightcal.planning.missing import describe_wanted, list_wanted

HOME = Path(__file__).parents[1]


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("config", type=json.loads, help="configuration as JSON, with the keys of config/config.yaml")
    args = arguments.parse_args()
    night_plan = read_run_config(args.config, HOME)
    options = make_options(args.config, tuple(night_plan.cameras.values()))
    for night in night_plan.nights:
        wanted = list_wanted(night_plan.plan, night, options)
        nothing = "nothing is missing" if night_plan.plan.find_science(night) else "no usable science frames yet"
        for line in map(describe_wanted, wanted) if wanted else [nothing]:
            print(f"{night}: {line}")


if __name__ == "__main__":
    run(main)
