"""Normalise and stack one filter's raw flats into a master flat.

python scripts/make_master_flat.py night/flat_V*.fits --camera config/cameras/generic.yaml \
    --bias bias.fits --dark dark.fits --out flat_V.fits
"""

from dataclasses import asdict
from pathlib import Path

from nightcal.command import add_rejection, open_frames, optional_master, parser, rejection_of, run
from nightcal.exposures import finish_master
from nightcal.fitsio import write_product
from nightcal.masters import make_master_flat


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--bias", type=Path, help="master bias")
    arguments.add_argument("--dark", type=Path, help="master dark")
    arguments.add_argument("--out", type=Path, required=True, help="the master flat")
    add_rejection(arguments)
    args = arguments.parse_args()
    bias, dark, rejection = optional_master(args.bias), optional_master(args.dark), rejection_of(args)
    opened = open_frames(args, bias)
    master = finish_master(
        "flat",
        opened,
        lambda: make_master_flat(opened.exposures, bias, dark, rejection, opened.refused, args.threads),
        asdict(rejection),
        args.warn,
    )
    write_product(args.out, master)


if __name__ == "__main__":
    run(main)
