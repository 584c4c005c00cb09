"""Stack calibrated science frames of one filter, at several pointings, into a fringe frame.

python scripts/make_fringe.py results/20240301/unfringed/field_z_*.fits \
    --pointings 187.50,12.40 187.51,12.40 187.50,12.41 187.51,12.41 187.49,12.40 --out fringe_z.fits
"""

from argparse import ArgumentTypeError
from pathlib import Path

from nightcal.cli import make_parser, run, write_master
from nightcal.errors import ConfigurationError
from nightcal.masters.common import Rejection
from nightcal.masters.fringe import make_fringe


def parse_pointing(text: str) -> tuple[float, float] | None:
    if text == "unknown":
        return None
    try:
        ra, dec = map(float, text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a pointing; expected RA,DEC in degrees, or unknown") from None
    return ra, dec


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("frames", nargs="+", type=Path, help="calibrated science frames")
    arguments.add_argument(
        "--pointings", nargs="+", required=True, type=parse_pointing, help="RA,DEC of each [deg], or unknown"
    )
    arguments.add_argument("--stack-sigma", type=float, default=3.0, help="clipping of a pixel along the stack [rstd]")
    arguments.add_argument("--no-floor", action="store_true", help="clip by the rstd alone, however small it is")
    arguments.add_argument("--threads", type=int, default=1, help="number of threads")
    arguments.add_argument("--maps", type=Path, help="summary of the fringe frame (.npz), by which it is judged")
    arguments.add_argument("--out", type=Path, required=True, help="the fringe frame")
    args = arguments.parse_args()
    if len(args.pointings) != len(args.frames):
        raise ConfigurationError(f"--pointings has {len(args.pointings)} values; expected {len(args.frames)}.")
    rejection = Rejection(stack_sigma=args.stack_sigma, floor=not args.no_floor)
    write_master(args, make_fringe(args.frames, args.pointings, rejection, args.threads))


if __name__ == "__main__":
    run(main)
