"""Measure gain and read noise from the pairs of bias frames and flats of a night.

python scripts/measure_noise.py night/bias*.fits night/flat*.fits --camera config/cameras/nickel.yaml --out noise.json
"""

from pathlib import Path

from nightcal.cameras.camera_file import load_camera
from nightcal.cli import parser, run
from nightcal.detector.photon_transfer import write_noise
from nightcal.masters.finish import measure_noise_of


def main() -> None:
    arguments = parser(__doc__, frames="raw bias frames and flats")
    arguments.add_argument("--out", type=Path, required=True, help="gain and read noise (JSON)")
    args = arguments.parse_args()
    write_noise(args.out, measure_noise_of(args.frames, load_camera(args.camera)))


if __name__ == "__main__":
    run(main)
