"""Stack raw dark frames into a master dark, in electrons per second.

python scripts/make_master_dark.py night/dark*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --out dark.fits
"""

from dataclasses import asdict
from pathlib import Path

from nightcal.cli import add_rejection, load_optional_master, make_parser, open_frames, read_rejection, run
from nightcal.io.product import write_product
from nightcal.masters.dark import make_master_dark
from nightcal.masters.finish import finish_master


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--bias", type=Path, help="master bias")
    arguments.add_argument(
        "--hot", type=float, default=10.0, help="a hot pixel's excess over the typical current [rstd]"
    )
    arguments.add_argument("--out", type=Path, required=True, help="the master dark")
    add_rejection(arguments)
    args = arguments.parse_args()
    bias, rejection = load_optional_master(args.bias), read_rejection(args)
    opened = open_frames(args, bias)
    master = finish_master(
        "dark",
        opened,
        lambda: make_master_dark(opened.frames, bias, rejection, opened.rejected, args.hot, args.threads),
        asdict(rejection) | {"hot": args.hot},
        args.warn,
    )
    write_product(args.out, master)


if __name__ == "__main__":
    run(main)
