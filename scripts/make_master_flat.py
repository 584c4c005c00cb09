"""Normalise and stack one filter's raw flats into a master flat.

python scripts/make_master_flat.py night/flat_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --out flat_V.fits
"""

from pathlib import Path

from nightcal.cli import (
    add_flat_limits,
    add_masters,
    add_stacking,
    choose_masters,
    make_parser,
    read_camera,
    read_flat_limits,
    read_stacking,
    run,
    write_master,
)
from nightcal.masters.make import make_master_flat


def main() -> None:
    arguments = make_parser(__doc__)
    add_masters(arguments, "bias", "dark")
    add_flat_limits(arguments)
    arguments.add_argument("--out", type=Path, required=True, help="the master flat")
    add_stacking(arguments)
    args = arguments.parse_args()
    chosen = choose_masters(args, "bias", "dark")
    write_master(
        args,
        make_master_flat(
            args.frames,
            read_camera(args),
            bias=chosen["bias"].master,
            dark=chosen["dark"].master,
            limits=read_flat_limits(args),
            **read_stacking(args, *chosen.values()),
        ),
    )


if __name__ == "__main__":
    run(main)
