"""The bad pixel mask of a simulated night holds the planted defects and hardly anything else; masks travel by OR."""

from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from nightcal import Calibrator
from nightcal.errors import FrameRejectedError
from nightcal.flags import MASK_DTYPE, Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import MasterFrame, convert_to_mask, load_master
from nightcal.io.product import Product, write_product
from nightcal.io.sections import Area
from nightcal.masters.bad_pixel_mask import DefectLimits, flag_bad_pixels
from nightcal.masters.bias import stack_biases
from nightcal.masters.common import make_empty_master
from nightcal.masters.dark import stack_darks
from nightcal.masters.flat import stack_flats
from nightcal.masters.make import make_bad_pixel_mask
from nightcal.simulation.night import make_chip
from simulated_chip import Camera, loaded

SHAPE = (320, 320)
HOT_ROWS = slice(100, 220)
HOT_COLUMN = 77
MOST_FALSE = 1e-4


def dilate(columns):
    """Add two columns on either side."""
    return np.any([np.roll(columns, n, axis=1) for n in range(-2, 3)], axis=0)


class Defects:
    """A chip with defects of each kind, none of them twice in a place, and where they are."""

    def __init__(self, seed=5):
        rng = np.random.default_rng(seed)
        chip = make_chip(SHAPE, seed=seed, n_hot=60, n_dead=60)
        free = ~(chip.hot | chip.dead | chip.stuck)
        free[:, HOT_COLUMN - 3 : HOT_COLUMN + 4] = False
        free &= ~dilate(chip.stuck)
        self.where = {"hot": chip.hot, "dead": chip.dead & ~chip.stuck, "stuck": chip.stuck}
        for name in ("warm", "level", "dim", "colour", "noisy", "unsteady"):
            chosen = rng.choice(np.flatnonzero(free), 30, replace=False)
            self.where[name] = np.isin(np.arange(free.size), chosen).reshape(SHAPE)
            free &= ~self.where[name]
        bias, current = chip.bias_structure + np.zeros(SHAPE), chip.dark_current.copy()
        bias[self.where["level"]] += rng.choice([-40, 40], 30)
        current[self.where["warm"]] += 0.23  # 28 e- in a dark of 120 s, whose read noise is 6 e-
        self.where["column"] = np.zeros(SHAPE, bool)
        self.where["column"][HOT_ROWS, HOT_COLUMN] = rng.random(120) < 0.7
        self.where["column"][[HOT_ROWS.start, HOT_ROWS.stop - 1], HOT_COLUMN] = True
        current[self.where["column"]] = 4.0
        response = {name: image * np.where(self.where["dim"], 0.5, 1.0) for name, image in chip.response.items()}
        response["R"] = response["R"] * np.where(self.where["colour"], 0.8, 1.0)
        self.chip = replace(chip, bias_structure=bias, dark_current=current, response=response)

    def crackle(self, rng, name, adu):
        """Let pixels scatter by so much, in this frame as in every one."""

        def spoil(raw):
            pixels = raw[:, : SHAPE[1]]
            noise = np.rint(rng.normal(0, adu, np.count_nonzero(self.where[name])))
            pixels[self.where[name]] = (pixels[self.where[name]] + noise).astype(np.uint16)

        return spoil


@pytest.fixture(scope="module")
def defects():
    return Defects()


@pytest.fixture(scope="module")
def masters(defects, tmp_path_factory):
    camera = Camera(tmp_path_factory.mktemp("night"), defects.chip, seed=3)
    noise = np.random.default_rng(9)
    noisy, unsteady = defects.crackle(noise, "noisy", 40), defects.crackle(noise, "unsteady", 60)
    folder = camera.folder
    bias = loaded(stack_biases(camera.biases(16, spoil=noisy)), folder / "bias.fits")
    frames = [camera.take("Dark Frame", 120.0, spoil=unsteady) for _ in range(9)]
    dark = loaded(stack_darks(frames, bias), folder / "dark.fits")
    flats = []
    for name in ("V", "R"):
        product = stack_flats(camera.flats([20000.0] * 7, filter_name=name), bias, dark)
        product.header["FILTER"] = name
        flats.append(loaded(product, folder / f"flat_{name}.fits"))
    return [bias, dark, *flats]


@pytest.fixture(scope="module")
def mask(masters):
    # the lower the limit, the more false alarms
    return flag_bad_pixels(masters, limits=DefectLimits(warm=2.5))


FLAGS = {
    "hot": Flag.HOT, "warm": Flag.HOT, "column": Flag.HOT,
    "stuck": Flag.BAD, "dead": Flag.BAD, "level": Flag.BAD, "dim": Flag.BAD, "colour": Flag.BAD, "noisy": Flag.BAD,
    "unsteady": Flag.BAD,
}  # fmt: skip


@pytest.mark.parametrize("kind", FLAGS)
def test_planted_defects_are_in_the_mask(kind, mask, defects):
    planted = defects.where[kind]
    assert planted.any()
    found = mask.data[planted] & FLAGS[kind] > 0
    # a warm pixel lies 3 of its errors above the limit, a blinking one is quiet in some nights
    assert found.mean() >= (0.95 if kind in ("warm", "noisy", "unsteady") else 1.0)


def test_few_good_pixels_are_in_the_mask(mask, defects):
    planted = np.any(list(defects.where.values()), axis=0)
    planted[HOT_ROWS, HOT_COLUMN] = True
    planted |= dilate(defects.where["stuck"])  # saturated even in bias frames: those beside are not trusted
    assert np.count_nonzero((mask.data > 0) & ~planted) <= MOST_FALSE * planted.size


def test_a_column_that_is_mostly_hot_is_bad_along_the_run(mask, defects):
    assert (mask.data[HOT_ROWS, HOT_COLUMN] > 0).all()
    good = HOT_ROWS.stop - HOT_ROWS.start - np.count_nonzero(defects.where["column"])
    assert mask.header["NCOLUMN"] == pytest.approx(good, abs=2)
    assert not mask.data[HOT_ROWS.stop : HOT_ROWS.stop + 20, HOT_COLUMN].any()


def test_each_search_is_counted(mask, defects):
    counts = {"NNODATA": "stuck", "NLEVEL": "level", "NRATIO": "colour"}
    for keyword, kind in counts.items():
        assert mask.header[keyword] == pytest.approx(np.count_nonzero(defects.where[kind]), abs=8)
    dead_or_dim = np.count_nonzero(defects.where["dead"] | defects.where["dim"])
    assert mask.header["NUNRESP"] == dead_or_dim
    assert mask.header["NNOISY"] == pytest.approx(60, abs=4)
    hot = np.count_nonzero(defects.chip.dark_current > (3 * 6.2) ** 2 / 120)  # its noise is 3 times that of the others
    assert mask.header["NDARKHOT"] == pytest.approx(hot, abs=4)
    planted = np.count_nonzero(defects.where["hot"] | defects.where["column"] | defects.where["warm"])
    assert planted - hot - 4 <= mask.header["NWARM"] <= planted - hot + 20  # the mean of a blinking pixel may be high
    assert mask.header["NBAD"] == np.count_nonzero(mask.data & Flag.BAD)
    assert mask.header["NHOT"] == np.count_nonzero(mask.data & Flag.HOT)
    assert [mask.header[f"RATIO{n}"] for n in (1, 2)] == ["flat_R.fits", "flat_V.fits"]


def test_limits_decide(masters, mask, defects):
    strict = flag_bad_pixels(masters, limits=DefectLimits(bias_sigma=100.0, warm=np.inf, response=0.6))
    assert not (strict.data[defects.where["level"]] & Flag.BAD).any()
    assert not (strict.data[defects.where["dim"]] & Flag.BAD).any()
    assert (strict.data[defects.where["dead"]] & Flag.BAD).all()
    assert np.mean(strict.data[defects.where["warm"]] & Flag.HOT > 0) < 0.5
    assert strict.header["NWARM"] == 0


def test_the_order_of_the_masters_does_not_matter(masters, mask):
    np.testing.assert_array_equal(flag_bad_pixels(masters[::-1], limits=DefectLimits(warm=2.5)).data, mask.data)


def test_low_flat_and_the_dead_pixels_of_one_filter_only(masters, defects):
    bias, _, flat_v, _ = masters
    dimmed = np.array(flat_v.data[:])
    dimmed[200, 200] = 0.4
    one = replace(flat_v, data=dimmed)
    assert flag_bad_pixels([bias, one]).data[200, 200] & Flag.BAD
    # Two flats of one filter and like light are no pair for a ratio, and a pixel must be unlike in both.
    two = flag_bad_pixels([bias, one, flat_v])
    assert not two.data[200, 200]
    assert "NRATIO" not in two.header
    assert not (two.data & Flag.LOW_FLAT).any()


def test_two_flats_of_one_filter_and_unequal_levels_are_compared(masters):
    _, _, flat_v, flat_r = masters
    header = flat_v.header.copy()
    header["FLATLVL"] = flat_v.header["FLATLVL"] / 3
    nonlinear = np.array(flat_v.data[:])
    nonlinear[150, 151] *= 0.8
    faint = replace(flat_v, data=nonlinear, header=header, name="faint.fits")
    product = flag_bad_pixels([flat_v, flat_r, faint])
    assert [product.header[f"RATIO{n}"] for n in (1, 2)] == ["faint.fits", "flat_V.fits"]
    assert product.data[150, 151] & Flag.BAD


def test_seams_between_amplifiers_of_different_levels_are_not_defects():
    rng = np.random.default_rng(31)
    image = rng.normal(1000, 1.5, SHAPE).astype(np.float32)
    image[150:, 170:] += 200
    image[151, 171] += 40
    header = fits.Header({"MASTER": "bias", "MJD-AVG": 60000.0})
    areas = Area(0, 170, 0, 150), Area(170, 320, 0, 150), Area(170, 320, 150, 320), Area(0, 170, 150, 320)
    for n, area in enumerate(areas, start=1):
        header[f"AMPSEC{n:02d}"] = str(area)
    variance, good = np.full(SHAPE, 1.5**2, np.float32), np.zeros(SHAPE, np.int16)
    bias = MasterFrame(image, variance, good, header, "bias.fits", "0", "electron")
    assert np.argwhere(flag_bad_pixels([bias]).data).tolist() == [[151, 171]]


def test_warnings_of_masters_are_not_passed_on_to_the_mask(masters):
    warned = [replace(master, header=master.header.copy()) for master in masters]
    for n, master in enumerate(warned):
        master.header["WARN001"], master.header["SKIPPED"] = f"something about master {n}", "bias"
    assert read_warnings(flag_bad_pixels(warned).header) == []


# --- masks of the observer -------------------------------------------------------------------------------------------


def plain_mask(path, shape=SHAPE, dtype=np.uint8):
    image = np.zeros(shape, dtype)
    image[10, 11], image[12, 13] = 1, 7
    fits.PrimaryHDU(image).writeto(path)
    return convert_to_mask(load_master(path))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_a_user_mask_is_added_to_the_defects_found(dtype, masters, mask, tmp_path):
    given = plain_mask(tmp_path / "mine.fits", dtype=dtype)
    both = flag_bad_pixels(masters, [given], DefectLimits(warm=2.5))
    assert both.data[10, 11] & both.data[12, 13] & Flag.BAD
    changed = np.argwhere(both.data != mask.data).tolist()
    assert changed == [[10, 11], [12, 13]]
    assert both.header["NUSERMSK"] == 2
    assert (both.header["USRMK001"], both.header["USSHA001"]) == ("mine.fits", given.digest)


def test_a_user_mask_with_an_undefined_pixel_keeps_its_bad_ones(tmp_path):
    image = np.zeros(SHAPE, np.float32)
    image[10, 11], image[12, 13], image[20, 21] = 1, 7, np.nan
    fits.PrimaryHDU(image).writeto(tmp_path / "mine.fits")
    product = flag_bad_pixels([], [convert_to_mask(load_master(tmp_path / "mine.fits"))])
    assert np.argwhere(product.data).tolist() == [[10, 11], [12, 13], [20, 21]]


def test_bits_of_another_program_are_bad_pixels_however_high_they_are(tmp_path):
    bits = np.zeros(SHAPE, np.int32)
    bits[10, 11], bits[12, 13] = 16, 1 << 20
    science = fits.PrimaryHDU(np.ones(SHAPE, np.float32))
    fits.HDUList([science, fits.ImageHDU(bits, name="MASK")]).writeto(tmp_path / "theirs.fits")
    product = flag_bad_pixels([], [convert_to_mask(load_master(tmp_path / "theirs.fits"))])
    assert np.argwhere(product.data & Flag.BAD).tolist() == [[10, 11], [12, 13]]


def test_a_user_mask_of_nightcal_keeps_its_bits(masters, mask, tmp_path):
    given = convert_to_mask(loaded(mask, tmp_path / "bpm.fits"))
    alone = flag_bad_pixels([], [given])
    np.testing.assert_array_equal(alone.data, mask.data)
    again = flag_bad_pixels(masters, [given], DefectLimits(warm=2.5))
    np.testing.assert_array_equal(again.data, mask.data)


def test_a_mask_of_another_size_is_not_used_and_warned_about(masters, mask, tmp_path, caplog):
    other = plain_mask(tmp_path / "binned.fits", (160, 160))
    product = flag_bad_pixels(masters, [other], DefectLimits(warm=2.5))
    np.testing.assert_array_equal(product.data, mask.data)
    text = "bad pixel mask not used: binned.fits has 160 x 160 pixels; expected 320 x 320"
    assert text in read_warnings(product.header)
    assert text in caplog.text
    assert "USRMK001" not in product.header


def test_without_a_usable_master_the_user_mask_is_the_mask(tmp_path):
    nothing = loaded(make_empty_master("bias", (1, 1), "all frames were torn"), tmp_path / "bias.fits")
    with pytest.raises(FrameRejectedError, match="all masters are empty"):
        flag_bad_pixels([nothing])
    product = make_bad_pixel_mask([nothing], [plain_mask(tmp_path / "mine.fits")])
    assert np.argwhere(product.data).tolist() == [[10, 11], [12, 13]]
    assert "EMPTY" not in product.header


def test_a_mask_of_another_night_can_be_used(mask, tmp_path):
    old = loaded(mask, tmp_path / "bpm.fits")
    product = make_bad_pixel_mask([old], [plain_mask(tmp_path / "mine.fits")])
    expected = mask.data.copy()
    expected[[10, 12], [11, 13]] |= Flag.BAD
    np.testing.assert_array_equal(product.data, expected)
    assert product.header["MJD-AVG"] == mask.header["MJD-AVG"]


# --- masks travel ----------------------------------------------------------------------------------------------------

BITS = [Flag.BAD, Flag.HOT, Flag.SATURATED, Flag.BLEED, Flag.COSMIC_RAY, Flag.LOW_FLAT, Flag.NO_DATA, Flag.TRAIL]


def with_mask(path, mask, unit, level=1.0):
    image = np.full(mask.shape, level, np.float32)
    write_product(path, Product(image, image * 0, mask, unit, fits.Header({"NIGHTCAL": "x"})))
    return path


def test_each_bit_of_each_master_arrives_in_the_science_frame(tmp_path):
    shape = (4, len(BITS))
    kinds = {"master_bias": "electron", "master_dark": "electron / s", "master_flat": "", "bad_pixels": ""}
    masters = {}
    for row, (name, unit) in enumerate(kinds.items()):
        bits = np.zeros(shape, MASK_DTYPE)
        bits[row] = BITS
        masters[name] = with_mask(tmp_path / f"{name}.fits", bits, unit)
    raw = np.full(shape, 1000, np.uint16)
    raw[1, 2] = 65535  # HOT in the dark or not, a saturated pixel has its own bit as well
    fits.PrimaryHDU(raw, fits.Header({"EXPTIME": 10.0})).writeto(tmp_path / "raw.fits")
    product = Calibrator(**masters, bleed={"directions": ["up"], "pixels": 1}).prepare(tmp_path / "raw.fits").product()
    expected = np.tile(np.array(BITS), (4, 1))
    expected[1, 2] |= Flag.SATURATED
    expected[2, 2] |= Flag.BLEED
    np.testing.assert_array_equal(product.mask, expected)


def test_bits_of_a_bias_travel_through_dark_and_flat(defects, tmp_path):
    camera = Camera(tmp_path, defects.chip)
    bits = np.zeros(SHAPE, MASK_DTYPE)
    bits[20, 20 : 20 + len(BITS)] = BITS
    bias = load_master(with_mask(tmp_path / "bias.fits", bits, "electron", 0.0))
    dark = loaded(stack_darks(camera.darks([60.0] * 3), bias), tmp_path / "dark.fits")
    assert (np.asarray(dark.mask)[bits > 0] & bits[bits > 0] == bits[bits > 0]).all()
    flat = stack_flats(camera.flats([20000.0] * 3), None, dark)
    assert (flat.mask[bits > 0] & bits[bits > 0] == bits[bits > 0]).all()


def test_masked_pixels_stay_out_of_the_level_of_a_flat(defects, tmp_path):
    """A third of the centre is far too bright and masked: the level is that of the rest."""
    camera = Camera(tmp_path, defects.chip)
    bits = np.zeros(SHAPE, MASK_DTYPE)
    bits[120:180, 80:240] = Flag.BAD

    def glare(raw):
        raw[120:180, 80:240] += 20000

    frames = [camera.take("Flat Field", 5.0, 15000 * 1.5 / 5, "V", spoil=glare) for _ in range(3)]
    bias = load_master(with_mask(tmp_path / "bias.fits", bits, "electron", 0.0))
    flat = stack_flats(frames, bias, None)
    centre = np.zeros(SHAPE, bool)
    centre[80:240, 80:240] = True
    expected = defects.chip.response["V"][centre & (bits == 0) & ~defects.chip.dead].mean()
    assert flat.header["FLATLVL"] == pytest.approx(15000 * 1.5 * expected, rel=0.001)
