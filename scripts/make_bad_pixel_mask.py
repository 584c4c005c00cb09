"""Gather what the masters of a night say about pixels into a bad pixel mask.

python scripts/make_bad_pixel_mask.py bias.fits dark.fits flat_V.fits --out bpm.fits
"""

from pathlib import Path

from nightcal.calibration import load_master
from nightcal.command import parser, run
from nightcal.exposures import bad_pixel_mask_of
from nightcal.fitsio import write_product


def main() -> None:
    arguments = parser(__doc__, frames=None)
    arguments.add_argument("masters", nargs="+", type=Path, help="master bias, darks and flats of one camera and mode")
    arguments.add_argument("--out", type=Path, required=True, help="the bad pixel mask")
    args = arguments.parse_args()
    masters = [load_master(path) for path in args.masters]
    write_product(args.out, bad_pixel_mask_of(masters))


if __name__ == "__main__":
    run(main)
