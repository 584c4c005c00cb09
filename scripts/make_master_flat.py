"""Normalise and stack one filter's raw flats into a master flat.

python scripts/make_master_flat.py night/flat_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --out flat_V.fits
"""

from pathlib import Path

from nightcal.cli import (
    add_flat_limits,
    add_keep,
    add_masters,
    add_stacking,
    choose_masters,
    make_or_restore,
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
    add_keep(arguments)
    args = arguments.parse_args()
    chosen = choose_masters(args, "bias", "dark")
    masters = {step: choice.master for step, choice in chosen.items()}

    def make() -> None:
        options = read_stacking(args, *chosen.values())
        limits = read_flat_limits(args)
        write_master(args, make_master_flat(args.frames, read_camera(args), limits=limits, **masters, **options))

    make_or_restore(args, [args.out, args.maps], chosen, make)


if __name__ == "__main__":
    run(main)
