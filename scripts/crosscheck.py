"""Calibrate one science frame with ccdproc's functions too, and write how far the product differs.

python scripts/crosscheck.py night/m13_V1.fits --product results/20240301/science/m13_V1.fits \
    --camera config/cameras/generic.yaml --bias bias.fits --dark dark.fits --flat flat_V.fits --out crosscheck.json
"""

import logging
from pathlib import Path

from nightcal.cli import add_camera, add_masters, choose_masters, make_parser, read_camera, run
from nightcal.science.crosscheck import STEPS, crosscheck, write_crosscheck


def main() -> None:
    arguments = make_parser(__doc__, frames=None)
    arguments.add_argument("frame", type=Path, help="the raw science frame")
    arguments.add_argument("--product", type=Path, required=True, help="the calibrated frame to compare with")
    add_camera(arguments)
    add_masters(arguments, *STEPS)
    arguments.add_argument("--out", type=Path, required=True, help="the comparison (JSON)")
    args = arguments.parse_args()
    chosen = choose_masters(args, *STEPS)
    masters = {step: choice.path for step, choice in chosen.items() if choice.path is not None}
    result = crosscheck(args.frame, args.product, read_camera(args), masters)
    logging.getLogger(__name__).info("%s.", result)
    write_crosscheck(args.out, result)


if __name__ == "__main__":
    run(main)
