"""Measure gain and read noise from the pairs of bias frames and flats of a night.

python scripts/measure_gain.py night/bias*.fits night/flat*.fits --camera config/cameras/nickel.yaml --out gain.json
"""

from pathlib import Path

from nightcal.cli import make_parser, read_camera, run
from nightcal.detector.photon_transfer import write_gain
from nightcal.masters.make import measure_gain_from_files


def main() -> None:
    arguments = make_parser(__doc__, frames="raw bias frames and flats")
    arguments.add_argument("--out", type=Path, required=True, help="gain and read noise (JSON)")
    args = arguments.parse_args()
    write_gain(args.out, measure_gain_from_files(args.frames, read_camera(args)))


if __name__ == "__main__":
    run(main)
