"""Stack raw bias frames into a master bias.

python scripts/make_master_bias.py night/bias*.fits --camera config/cameras/generic.yaml --out bias.fits
"""

from dataclasses import asdict
from pathlib import Path

from nightcal.cli import add_rejection, make_parser, open_frames, read_rejection, run
from nightcal.io.product import write_product
from nightcal.masters.bias import make_master_bias
from nightcal.masters.finish import finish_master


def main() -> None:
    arguments = make_parser(__doc__)
    arguments.add_argument("--out", type=Path, required=True, help="the master bias")
    add_rejection(arguments)
    args = arguments.parse_args()
    opened, rejection = open_frames(args), read_rejection(args)
    master = finish_master(
        "bias",
        opened,
        lambda: make_master_bias(opened.frames, rejection, opened.rejected, args.threads),
        asdict(rejection),
        args.warn,
    )
    write_product(args.out, master)


if __name__ == "__main__":
    run(main)
