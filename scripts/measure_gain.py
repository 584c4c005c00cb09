"""Measure gain, read noise, and the step and top of the ADC in bias frames and flats.

python scripts/measure_gain.py night/bias*.fits night/flat*.fits --camera config/cameras/nickel.yaml --out gain.json
"""

from pathlib import Path

from nightcal.cli import make_parser, read_camera, read_more_cameras, read_overrides, run
from nightcal.masters.gain import write_measured_gain


def main() -> None:
    arguments = make_parser(__doc__, frames="raw bias frames and flats")
    arguments.add_argument("--more-cameras", nargs="*", type=Path, default=[], help="camera files of other programs")
    arguments.add_argument("--out", type=Path, required=True, help="gain and read noise (JSON)")
    args = arguments.parse_args()
    write_measured_gain(args.out, args.frames, [read_camera(args), *read_more_cameras(args)], read_overrides(args))


if __name__ == "__main__":
    run(main)
