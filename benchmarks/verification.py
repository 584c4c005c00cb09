"""Plant faults in calibration frames, and count how many are found and named right, and how many good frames are lost.

python -m benchmarks.verification [--seeds 20] [FAULT ...]
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from astropy.io import fits
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.io.verdict import Outcome
from nightcal.masters.judge import Earlier, judge
from nightcal.masters.make import make_master_bias, make_master_dark, make_master_flat
from nightcal.masters.map_master import map_master

from benchmarks.faulty_sets import GAIN, SHAPE, Chip, Folder

CAMERA = Path(__file__).parents[1] / "config" / "cameras" / "generic.yaml"
GRADIENT = np.broadcast_to(np.linspace(0, 1, SHAPE[1]), SHAPE)
EARLIER = datetime(2024, 2, 29, 22)


@dataclass(frozen=True)
class Result:
    """What became of a set: the faulty frames that were rejected, the good ones that were, and all that was said.

    ``left`` is the error that the master leaves in science frames: the largest mean of 16 x 16 pixels off the truth, in
    e- of a bias or of the longest dark, in percent of a flat; None for a master that is not used.
    """

    found: int
    faulty: int
    lost: int
    good: int
    outcome: Outcome
    words: str
    left: float | None = None

    @property
    def is_found(self):
        """Whether all faulty frames are left out, or the master is not accepted."""
        return self.found == self.faulty if self.outcome is Outcome.ACCEPTED else True


def find_error(product, truth, factor):
    """Find the largest mean of 16 x 16 good pixels of a master off the truth, levels aside."""
    off = np.where(product.mask == 0, product.data - truth, np.nan) * factor
    ny, nx = (length // 16 for length in SHAPE)
    blocks = np.nanmean(off[: ny * 16, : nx * 16].reshape(ny, 16, nx, 16), axis=(1, 3))
    return float(np.nanmax(np.abs(blocks - np.nanmedian(blocks))))


def judge_set(kind, paths, faulty, earlier=(), truth=None, factor=1.0, **masters):
    """Make and judge a master; ``faulty`` are the numbers of the frames with a fault."""
    make = {"bias": make_master_bias, "dark": make_master_dark, "flat": make_master_flat}[kind]
    product = make(paths, CAMERA, **masters)
    verdict = judge(map_master(product, kind), earlier)
    header = product.header
    rejected = {str(header[f"REJ{n:03d}"]) for n in range(1, header.get("NREJECT", 0) + 1)}
    bad = {path.name for n, path in enumerate(paths) if n in faulty}
    words = " ".join(str(value) for card, value in header.items() if card.startswith(("REJW", "WARN", "OWNWHY")))
    return product, Result(
        len(rejected & bad),
        len(bad),
        len(rejected - bad),
        len(paths) - len(bad),
        verdict.outcome,
        f"{words} {verdict.why}",
        None if truth is None or verdict.outcome is Outcome.REJECTED else find_error(product, truth, factor),
    )


@dataclass(frozen=True)
class Fault:
    """A fault: how a seed plays it, and words of which one must be said."""

    play: Callable[[Folder], Result]
    words: Sequence[str] = ()
    is_told: bool = False  # a warning is all that is wanted

    def is_found(self, result):
        """Whether all faulty frames are left out, the master is not accepted, or the warning is there."""
        return any(word in result.words for word in self.words) if self.is_told else result.is_found


def leak(electrons, frames):
    """Light that leaks into some frames, more at the right."""
    return lambda number, image: image + electrons * GRADIENT * (number in frames)


def play_bias(change=None, faulty=(), count=16, cards=None, earlier=False):
    """Bias frames, of which some are changed."""

    def play(folder):
        before = []
        if earlier:
            night = Folder(folder.path / "before", folder.chip, EARLIER)
            product, _ = judge_set("bias", night.take("bias", 0.0, count), ())
            before = [Earlier(map_master(product, "bias"), None)]
        paths = folder.take("bias", 0.0, count, 0.0, change, cards)
        return judge_set("bias", paths, set(faulty), before, folder.chip.pattern)[1]

    return play


def play_identical(count):
    """Bias frames that are copies of one, each with a time of its own."""

    def play(folder):
        first, *others = folder.take("bias", 0.0, count)
        pixels = fits.getdata(first)
        for path in others:
            fits.writeto(path, pixels, fits.getheader(path), overwrite=True)
        return judge_set("bias", [first, *others], set(range(count)))[1]

    return play


def make_bias(folder):
    """Make a good master bias, and read it from disk."""
    path = folder.path / "master_bias.fits"
    write_product(path, make_master_bias(folder.take("bias", 0.0, 9), CAMERA))
    return load_master(path)


def play_dark(change=None, faulty=(), count=5, seconds=360.0, earlier=False):
    """Darks, of which some are changed."""

    def play(folder):
        bias, before = make_bias(folder), []
        if earlier:
            night = Folder(folder.path / "before", folder.chip, EARLIER)
            product, _ = judge_set("dark", night.take("dark", seconds, count), (), bias=bias)
            before = [Earlier(map_master(product, "dark"), None)]
        paths = folder.take("dark", seconds, count, 0.0, change)
        return judge_set("dark", paths, set(faulty), before, folder.chip.current, seconds, bias=bias)[1]

    return play


def play_flat(change=None, faulty=(), count=7, level=20000.0, seconds=5.0):
    """Flats, of which some are changed; their exposure times may be a function of the number."""

    def play(folder):
        bias = make_bias(folder)
        paths = folder.take("flat", seconds, count, level * folder.chip.response, change)
        ny, nx = SHAPE
        centre = folder.chip.response[ny // 4 : ny - ny // 4, nx // 4 : nx - nx // 4]
        return judge_set("flat", paths, set(faulty), (), folder.chip.response / centre.mean(), 100.0, bias=bias)[1]

    return play


def band(faulty):
    """Rows 60 to 80 of some darks have no dark current."""

    def change(number, image):
        if number in faulty:
            image[60:80] = 0
        return image

    return change


def other_filter(faulty):
    """Take some flats through another filter: another vignetting, and another response of the pixels."""
    rng = np.random.default_rng(5)
    y = np.linspace(-1, 1, SHAPE[0])[:, np.newaxis]
    other = (1 + 0.03 * y) * rng.normal(1, 0.01, SHAPE)
    return lambda number, image: image * other if number in faulty else image


def clouds(faulty):
    """Clouds over some flats."""
    return lambda number, image: image * (1 + 0.06 * (GRADIENT - 0.5)) if number in faulty else image


def star(faulty):
    """Put the same star into some flats."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spot = np.exp(-((y - 60) ** 2 + (x - 110) ** 2) / (2 * 1.5**2))
    return lambda number, image: image + 3000 * spot * (number in faulty)


def drift(percent, count):
    """Let a gradient grow over the set."""
    return lambda number, image: image * (1 + percent / 100 * (number / (count - 1) - 0.5) * (2 * GRADIENT - 1))


def shutter(seconds):
    """Let a shutter expose the right side longer."""
    return lambda number, image: image * (1 + seconds * (GRADIENT - 0.5) / (2 + number))


WARM = lambda number: {"CCD-TEMP": 0.0 if number < 4 else -10.0}  # noqa: E731

FAULTS = {
    "good bias": Fault(play_bias()),
    "good bias, 5 frames": Fault(play_bias(count=5)),
    "good bias, 3 frames": Fault(play_bias(count=3)),
    "good bias, earlier night": Fault(play_bias(earlier=True)),
    "good dark": Fault(play_dark()),
    "good dark, 3 frames": Fault(play_dark(count=3)),
    "good dark, earlier night": Fault(play_dark(earlier=True)),
    "good flat": Fault(play_flat()),
    "good flat, 3 frames": Fault(play_flat(count=3)),
    **{
        f"leak of {adu} ADU in {n} of 16 bias": Fault(
            play_bias(leak(adu * GAIN, range(n)), range(n)), ("light leak", "frames disagree", "level")
        )
        for n in (1, 4, 9)
        for adu in (8, 16, 30)
    },
    **{
        f"leak of {adu} ADU in all bias, earlier night": Fault(
            play_bias(leak(adu * GAIN, range(16)), range(16), earlier=True), ("light leak",)
        )
        for adu in (8, 16, 30)
    },
    "slope of 0.5 e- in all bias, earlier night": Fault(
        play_bias(leak(0.5, range(16)), range(16), earlier=True), ("shape changed",)
    ),
    "level 28 ADU off in 4 of 16 bias": Fault(
        play_bias(lambda n, image: image + 28 * GAIN * (n < 4), range(4)), ("level",)
    ),
    "level 28 ADU off in 9 of 16 bias": Fault(
        play_bias(lambda n, image: image + 28 * GAIN * (n < 9), range(9)), ("level",)
    ),
    "bias 10 C warmer in 4 of 16": Fault(
        play_bias(lambda n, image: image + 8 * GAIN * (n < 4), range(4), cards=WARM), ("CCD-TEMP",)
    ),
    "noise 1.5 times in 1 of 16 bias": Fault(
        play_bias(lambda n, image: image + np.random.default_rng(n).normal(0, 6.7, SHAPE) * (n == 3), [3]), ("noise",)
    ),
    "five identical bias frames": Fault(play_identical(5), ("same pixels", "no scatter", "copy"), True),
    "1 of 5 darks displaced by 3 columns": Fault(
        play_dark(lambda n, image: np.roll(image, 3 * (n == 2), axis=1), [2]), ("displaced",)
    ),
    "1 of 7 flats displaced by 3 columns": Fault(
        play_flat(lambda n, image: np.roll(image, 3 * (n == 2), axis=1), [2]), ("displaced", "filter")
    ),
    "leak of 12 e- in 1 of 4 darks": Fault(play_dark(leak(12, [1]), [1], 4), ("light leak", "level")),
    "leak of 12 e- in all darks, earlier night": Fault(
        play_dark(leak(12, range(4)), range(4), 4, earlier=True), ("light",)
    ),
    "no dark current in a band of 1 of 5 darks": Fault(play_dark(band([2]), [2]), ("no dark current",)),
    "no dark current in a band of 3 of 5 darks": Fault(play_dark(band([0, 2, 3]), [0, 2, 3]), ("no dark current",)),
    "wrong filter in 1 of 7 flats": Fault(play_flat(other_filter([2]), [2]), ("filter", "gradient")),
    "clouds in 2 of 7 flats": Fault(play_flat(clouds([1, 5]), [1, 5]), ("clouds",)),
    "same star in 3 of 5 flats": Fault(play_flat(star([0, 2, 3]), [0, 2, 3], 5), ("a star at pixel 111, 61",), True),
    "drift of 3 percent over 7 flats": Fault(play_flat(drift(3, 7), range(7)), ("drift:",), True),
    "shutter of 50 ms in flats of 2 to 8 s": Fault(
        play_flat(shutter(0.05), range(7), seconds=lambda n: 2.0 + n), ("exposures differ by",), True
    ),
}


def main():
    """Print a row for each fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faults", nargs="*", help="words in the names of the faults; all if none is given")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--say", action="store_true", help="print what was said")
    args = parser.parse_args()
    print("| fault | overscan | found | named right | good frames lost | not accepted | left in science frames |")
    print("|---|---|---|---|---|---|---|")
    for name, fault in FAULTS.items():
        if args.faults and not any(word in name for word in args.faults):
            continue
        for overscan in (True, False):
            results = []
            for seed in range(args.seeds):
                with tempfile.TemporaryDirectory() as folder:
                    results.append(fault.play(Folder(Path(folder), Chip(seed, overscan))))
            found = [r for r in results if r.faulty and fault.is_found(r)]
            named = [r for r in found if any(word in r.words for word in fault.words)]
            lost, good = sum(r.lost for r in results), sum(r.good for r in results)
            doubted = sum(r.outcome is not Outcome.ACCEPTED for r in results)
            left = [r.left for r in results if r.left is not None]
            unit = "percent" if "flat" in name else "e-"
            error = f"{np.median(left):.2g} {unit}" if left else "not used"
            share = f"{len(found)}/{args.seeds}" if fault.words else "-"
            print(
                f"| {name} | {'yes' if overscan else 'no'} | {share} | {len(named) if fault.words else '-'} "
                f"| {lost}/{good} | {doubted}/{args.seeds} | {error} |",
                flush=True,
            )
            for result in results if args.say else ():
                print("   ", result.outcome.word, result.found, result.lost, result.words[:300])


if __name__ == "__main__":
    main()
