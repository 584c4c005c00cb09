"""Stack raw dark frames into a master dark, in electrons per second.

python scripts/make_master_dark.py night/dark*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --out dark.fits
"""

from pathlib import Path

from nightcal.cli import (
    add_keep,
    add_masters,
    add_stacking,
    choose_masters,
    make_or_restore,
    make_parser,
    read_camera,
    read_stacking,
    run,
    write_master,
)
from nightcal.masters.make import make_master_dark


def main() -> None:
    arguments = make_parser(__doc__)
    add_masters(arguments, "bias")
    arguments.add_argument(
        "--hot", type=float, default=3.0, help="noise of a hot pixel's dark current over the other noise"
    )
    arguments.add_argument("--out", type=Path, required=True, help="the master dark")
    add_stacking(arguments)
    add_keep(arguments)
    args = arguments.parse_args()
    chosen = choose_masters(args, "bias")

    def make() -> None:
        bias = chosen["bias"]
        options = read_stacking(args, bias)
        write_master(args, make_master_dark(args.frames, read_camera(args), bias=bias.master, hot=args.hot, **options))

    make_or_restore(args, [args.out, args.maps], chosen, make)


if __name__ == "__main__":
    run(main)
