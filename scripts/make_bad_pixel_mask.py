"""Make a bad pixel mask from the masters of a night.

python scripts/make_bad_pixel_mask.py bias.fits dark.fits flat_V.fits --user-mask mine.fits --out bpm.fits
"""

from pathlib import Path

from nightcal.cli import make_parser, run
from nightcal.io.product import write_product
from nightcal.masters.bad_pixel_mask import DefectLimits
from nightcal.masters.choose import keep_accepted
from nightcal.masters.make import make_bad_pixel_mask


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("masters", nargs="*", type=Path, help="master bias, darks and flats of one camera and mode")
    arguments.add_argument(
        "--user-mask", action="append", default=[], type=Path, help="your own mask: pixels that are not 0 are bad"
    )
    arguments.add_argument("--bias-sigma", type=float, default=10.0, help="departure of a bias pixel [rstd]")
    arguments.add_argument(
        "--warm", type=float, default=5.0, help="excess of a warm pixel of a dark over those around it [noise]"
    )
    arguments.add_argument("--response", type=float, default=0.3, help="departure of a flat pixel from those around it")
    arguments.add_argument("--out", type=Path, required=True, help="the bad pixel mask")
    args = arguments.parse_args()
    limits = DefectLimits(args.bias_sigma, args.warm, args.response)
    masters, warnings = keep_accepted(args.masters)
    write_product(args.out, make_bad_pixel_mask(masters, args.user_mask, limits, warnings))


if __name__ == "__main__":
    run(main)
