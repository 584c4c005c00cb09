"""Raw frames are opened as their camera file says; what is wrong with one frame stays with that frame."""

import errno
import os
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from helpers import REPOSITORY
from nightcal.cameras.amplifiers import choose_gain, find_gain, open_raw, read_master_gain
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.gain import ASSUMED, GainAndReadNoise
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import load_master
from nightcal.io.product import Product, write_product
from nightcal.io.raw_header import read_header
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.masters.bias import stack_biases
from nightcal.masters.flat import stack_flats
from nightcal.masters.gain import measure_gain_from_files
from nightcal.masters.keywords import record_gain
from nightcal.masters.make import finish_master, make_bad_pixel_mask
from nightcal.planning.frames import read_frame
from nightcal.planning.master_library import read_library
from nightcal.planning.records import Setup
from nightcal.planning.setup_keywords import write_setup
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.night import expose, make_chip, write_raw
from nightcal.stacking import calibration_frame as inputs
from nightcal.stacking import stack
from nightcal.stacking.open_frames import open_frames

CAMERAS = REPOSITORY / "config" / "cameras"
START = datetime(2024, 3, 1, 22)
MEASURED = GainAndReadNoise(2.0, 8.0, "measured: 4 pairs of bias, 3 of flats")


@pytest.fixture(scope="module")
def camera():
    return load_camera(CAMERAS / "generic.yaml")


@pytest.fixture(scope="module")
def chip():
    return make_chip((128, 128), n_hot=3, n_dead=3)


@pytest.fixture
def rng():
    return np.random.default_rng(19)


@pytest.fixture
def take(chip, rng, tmp_path):
    """Take a raw frame; cards given replace those of the camera, None removes them."""

    def shoot(name, kind="Bias Frame", exposure_time=0.0, rate=0.0, filter_name=None, minutes=0, **cards):
        path = tmp_path / f"{name}.fits"
        raw = expose(chip, rng, rate, exposure_time, filter_name)
        write_raw(path, raw, chip, kind, exposure_time, filter_name, START + timedelta(minutes=minutes))
        with fits.open(path, mode="update") as hdus:
            for card, value in cards.items():
                card = card.replace("_", "-")
                if value is None:
                    hdus[0].header.remove(card, ignore_missing=True)
                else:
                    hdus[0].header[card] = value
        return path

    return shoot


def truncate(path):
    path.write_bytes(path.read_bytes()[:10000])
    return path


# --- gain and read noise ---------------------------------------------------------------------------------------------


def test_gain_and_read_noise_of_the_header_count_first(take, camera):
    noise = find_gain(read_header(take("a")), camera, MEASURED)
    assert (noise.gain, noise.read_noise) == (1.5, 6.0)
    assert noise.warning == ""


def test_a_measurement_serves_if_the_header_has_no_gain(take, camera):
    assert find_gain(read_header(take("a", GAIN=None, RDNOISE=None)), camera, MEASURED) == MEASURED


def test_a_measured_read_noise_is_brought_to_the_gain_of_the_header(take, camera):
    # 8 e- at 2 e-/ADU are 4 ADU, which are 6 e- at 1.5 e-/ADU.
    noise = find_gain(read_header(take("a", RDNOISE=None)), camera, MEASURED)
    assert (noise.gain, noise.read_noise) == (1.5, pytest.approx(6.0))
    assert "header" in noise.source
    assert noise.warning == ""


def test_a_read_noise_of_the_header_is_kept_beside_a_measured_gain(take, camera):
    noise = find_gain(read_header(take("a", GAIN=None)), camera, MEASURED)
    assert (noise.gain, noise.read_noise) == (2.0, 6.0)


def test_an_unknown_gain_is_1_and_warned_about(take, camera):
    noise = find_gain(read_header(take("a", GAIN=None, RDNOISE=None)), camera, None)
    assert noise == ASSUMED
    header = fits.Header()
    record_gain(header, noise)
    assert any("unknown gain" in text for text in read_warnings(header))
    assert header["GAINSRC"] == "assumed"


def test_an_unknown_read_noise_is_warned_about(take, camera):
    noise = find_gain(read_header(take("a", RDNOISE=None)), camera, None)
    assert noise.gain == 1.5
    assert "unknown read noise" in noise.warning


def test_a_warning_stays_when_only_the_read_noise_is_known(take, camera):
    noise = find_gain(read_header(take("a", GAIN=None)), camera, None)
    assert (noise.gain, noise.read_noise) == (1.0, 6.0)
    assert "unknown gain" in noise.warning


# --- opening ---------------------------------------------------------------------------------------------------------


def test_a_readout_follows_header_and_camera_file(take, camera, chip):
    readout, gain = open_raw(RawImage(take("a")), camera)
    assert (readout.area, readout.has_overscan) == (Area(0, 128, 0, 128), True)
    assert (readout.gain, readout.read_noise, readout.saturation) == (1.5, 6.0, chip.saturation)
    assert readout.list_keywords() == {"OVSCMETH": "clipped_mean", "OVSC0001": "[129:160,1:128]"}
    assert gain.source == "header or camera file"


def test_frames_that_cannot_be_opened_are_named_and_the_others_serve(take, camera, tmp_path):
    (tmp_path / "note.fits").write_text("not a frame")
    paths = [
        take("a"),
        truncate(take("torn")),
        tmp_path / "note.fits",
        take("elsewhere", BIASSEC="[500:600,1:128]"),
        tmp_path / "missing.fits",
        take("b", minutes=1),
    ]
    opened = open_frames(paths, camera)
    assert [frame.path.name for frame in opened.frames] == ["a.fits", "b.fits"]
    assert [record.name for record in opened.records] == ["a.fits", "b.fits"]
    reasons = {refusal.path.name: refusal.reason for refusal in opened.rejected}
    assert set(reasons) == {"torn.fits", "note.fits", "elsewhere.fits", "missing.fits"}
    assert "truncated" in reasons["torn.fits"]
    assert "[500:600,1:128]" in reasons["elsewhere.fits"]
    assert "160 x 128" in reasons["elsewhere.fits"]


def test_an_exposure_knows_its_time(take, camera):
    frame = open_frames([take("a", "Dark Frame", 120.0)], camera).frames[0]
    assert frame.exposure_time == 120
    # 2024-03-01 22:00 UTC is MJD 60370.91667; its middle one minute later.
    assert frame.mjd == pytest.approx(60370 + (22 + 1 / 60) / 24, abs=1e-6)


def test_rows_of_a_readout_are_electrons_above_the_overscan(take, camera, chip):
    path = take("a", "Flat Field", 10.0, 1000.0, "V")
    readout = open_frames([path], camera).frames[0].readout
    electrons, flags = readout.read()
    raw = fits.getdata(path).astype(float)
    expected = (raw[:, :128] - raw[:, 128:].mean()) * 1.5
    np.testing.assert_allclose(electrons, expected, atol=0.5)
    np.testing.assert_array_equal(flags & Flag.SATURATED > 0, chip.stuck)
    part, _ = readout.rows(30, 40)
    np.testing.assert_array_equal(part, electrons[30:40])


# --- masters ---------------------------------------------------------------------------------------------------------


def batch(camera, bias=None):
    """Science frames of a camera, with a master bias or without."""
    bias = load_master(bias) if isinstance(bias, Path) else bias
    return ScienceBatch(camera=camera, masters={"bias": bias})


def reduced(path, *args):
    """Reduce a frame and read its product back."""
    out = path.with_name(f"{path.stem}_reduced.out")
    reduce_frame(path, out, *args)
    with fits.open(out) as hdus:
        images = [np.array(hdu.data) for hdu in hdus]
        return Product(*(image.astype(image.dtype.newbyteorder("=")) for image in images), "", hdus[0].header.copy())


def finished(paths, camera, kind="bias"):
    opened = open_frames(paths, camera)
    return finish_master(kind, opened, lambda: stack_biases(opened.frames, rejected=opened.rejected), {"k": 3})


def test_a_master_has_the_setup_of_its_frames(take, camera):
    header = finished([take(f"b{n}", minutes=n) for n in range(3)], camera).header
    assert (header["NCCAMERA"], header["NCINSTR"]) == ("generic", "Simulated CCD")
    assert (header["NCXBIN"], header["NCYBIN"], header["NCNX"], header["NCNY"]) == (1, 1, 160, 128)
    assert header["NIGHT"] == "20240301"
    assert header["NIGHTCAL"]
    assert header["CONFHASH"]
    assert header["SET-TEMP"] == -30


@pytest.mark.parametrize(("words", "light"), [("Dome flat V", "dome"), ("skyflat", "twilight"), ("flat V", "")])
def test_a_master_flat_and_a_library_know_the_flat_source(words, light, take, camera, tmp_path):
    told = {"OBJECT": words, "RA": "01:00:00", "DEC": "-30:00:00"}
    opened = open_frames([take(f"f{n}", "Flat Field", 5.0, 6000.0, "V", n, **told) for n in range(3)], camera)
    assert {(frame.flat_source, frame.pointing) for frame in opened.frames} == {(light, (15.0, -30.0))}
    product = finish_master("flat", opened, lambda: stack_flats(opened.frames, None, None), {})
    assert product.header.get("FLATSRC", "") == light
    write_product(tmp_path / "library" / "flat.fits", product)
    (known,) = read_library(tmp_path / "library")
    assert (known.flat_source, known.filter) == (light, "V")


@pytest.mark.parametrize("amplifiers", [1, 4, 16])
def test_masters_of_many_amplifiers_serve_the_frames_of_other_nights(amplifiers, take, camera, tmp_path):
    sections = [f"[51:2098,1:4176] is [{1 + 2048 * n}:{2048 * (n + 1)},1:4176]" for n in range(amplifiers)]
    frame = replace(read_frame(take("b"), "b.fits", [camera]), area=", ".join(sections), amplifiers=amplifiers)
    bias = finished([take(f"b{n}", minutes=n) for n in range(3)], camera)
    write_setup(bias.header, frame)
    write_product(tmp_path / "library" / "bias.fits", bias)
    mask = make_bad_pixel_mask([load_master(tmp_path / "library" / "bias.fits")])
    write_product(tmp_path / "library" / "bpm.fits", mask)
    assert [master.setup for master in read_library(tmp_path / "library")] == [Setup.from_frame(frame)] * 2


def test_a_torn_frame_is_named_in_the_master_of_its_neighbours(take, camera):
    master = finished([take("b0"), truncate(take("torn")), take("b1"), take("b2")], camera)
    assert (master.header["NCOMBINE"], master.header["NREJECT"]) == (3, 1)
    assert master.header["REJ001"] == "torn.fits"
    assert "truncated" in master.header["REJW001"]


def test_without_any_frame_the_master_is_empty_and_says_why(take, camera, tmp_path):
    master = finished([truncate(take("torn")), truncate(take("worn"))], camera)
    assert "2 frames" in master.header["EMPTY"]
    assert "truncated" in master.header["EMPTY"]
    write_product(tmp_path / "bias.fits", master)
    assert load_master(tmp_path / "bias.fits").why_empty
    assert CCDData.read(tmp_path / "bias.fits").mask.all()


def test_a_bad_pixel_mask_has_the_setup_of_its_masters(take, camera, tmp_path):
    write_product(tmp_path / "bias.fits", finished([take(f"b{n}", minutes=n) for n in range(3)], camera))
    bias = load_master(tmp_path / "bias.fits")
    product = make_bad_pixel_mask([bias])
    for card in ("NIGHT", "NCCAMERA", "NCNX", "NCMODE"):
        assert product.header[card] == bias.header[card]


# --- science frames --------------------------------------------------------------------------------------------------


def sky_frame(take, name="sky", **cards):
    return take(name, "Light Frame", 60.0, 8.0, "V", **cards)


def test_a_science_frame_is_reduced_with_the_values_of_its_header(take, camera, chip):
    product = reduced(sky_frame(take), batch(camera))
    good = product.mask == 0
    expected = 8.0 * 60 * chip.response["V"] + chip.dark_current * 60 + chip.bias_structure
    pull = (product.data - expected)[good & ~chip.hot] / product.uncertainty[good & ~chip.hot]
    assert pull.std() == pytest.approx(1, abs=0.03)
    assert pull.mean() == pytest.approx(0, abs=0.06)
    np.testing.assert_array_equal(product.mask & Flag.SATURATED > 0, chip.stuck)
    assert product.header["NIGHT"] == "20240301"
    assert product.header["GAINSRC"] == "header or camera file"
    assert product.data.shape == (128, 128)


def test_age_of_a_master_is_counted_from_the_middle_of_the_frame(take, camera, tmp_path):
    write_product(tmp_path / "bias.fits", finished([take(f"b{n}", minutes=n) for n in (0, 1, 2)], camera))
    product = reduced(sky_frame(take, minutes=121), batch(camera, tmp_path / "bias.fits"))
    # The biases' middle is one minute after 22 h, the frame's half a minute after 24 h and one minute.
    assert product.header["BIASAGE"] == pytest.approx((120 + 0.5) / 1440, abs=1e-6)


def is_refused(product, word):
    assert word in product.header["EMPTY"]
    assert (product.mask & Flag.NO_DATA > 0).all()
    assert np.isfinite(product.data).all()
    assert np.isfinite(product.uncertainty).all()


def test_truncated_frame_is_rejected_and_its_neighbours_are_reduced(take, camera):
    paths = [sky_frame(take, "a"), truncate(sky_frame(take, "torn")), sky_frame(take, "b")]
    shared = batch(camera)
    products = [reduced(path, shared) for path in paths]
    is_refused(products[1], "truncated")
    for product in (products[0], products[2]):
        assert "EMPTY" not in product.header
        assert np.median(product.data) == pytest.approx(480, abs=30)


@pytest.mark.parametrize(
    ("cards", "word"),
    [
        ({"TRIMSEC": "[1:500,1:500]"}, "[1:500,1:500]"),
        ({"BIASSEC": "[500:600,1:128]"}, "[500:600,1:128]"),
        ({"EXPTIME": -5.0}, "EXPTIME"),
        ({"DATE_OBS": "yesterday"}, "yesterday"),
    ],
)
def test_a_frame_whose_header_makes_no_sense_is_rejected(cards, word, take, camera):
    product = reduced(sky_frame(take, **cards), batch(camera))
    is_refused(product, word)
    assert product.header["OBJECT"] == ""
    assert product.data.shape == (128, 160)


def test_a_frame_of_another_shape_than_its_master_is_rejected(take, camera, tmp_path):
    fits.PrimaryHDU(np.zeros((64, 64), np.float32)).writeto(tmp_path / "bias.fits")
    product = reduced(sky_frame(take), batch(camera, tmp_path / "bias.fits"))
    is_refused(product, "64 x 64")


HOSTILE = {
    "tab in a string": b"OBSERVER= 'a\tb'     / control character",
    "reference pixel as text": b"CRPIX1  = '12.5'",
    "not FITS": b"WEATHER = nice and clear",
    "letters beyond ASCII": b"OBSERVER= 'Jos\xe9'",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_card_of_a_header_stops_a_batch(what, take, camera, tmp_path):
    # A script that raises for one frame loses the products of the whole batch.
    path = sky_frame(take, OBSERVER="someone", TRIMSEC="[5:100,5:100]")
    content = path.read_bytes()
    place = content.index(b"OBSERVER=")
    path.write_bytes(content[:place] + HOSTILE[what].ljust(80) + content[place + 80 :])
    product = reduced(path, batch(camera))
    write_product(tmp_path / "out.fits", product)
    assert np.isfinite(fits.getdata(tmp_path / "out.fits")).all()


# --- measuring -------------------------------------------------------------------------------------------------------


def test_gain_and_read_noise_are_measured_from_raw_frames(take, camera, chip, tmp_path):
    unknown = {"GAIN": None, "RDNOISE": None}
    paths = [take(f"b{n}", minutes=n, **unknown) for n in range(4)]
    paths += [take(f"f{n}", "Flat Field", 5.0, 6000.0, "V", minutes=20 + n, **unknown) for n in range(4)]
    noise = measure_gain_from_files([*paths, truncate(take("torn"))], camera)
    assert noise.gain == pytest.approx(chip.gain, rel=0.03)
    assert noise.read_noise == pytest.approx(chip.read_noise, rel=0.03)
    assert noise.warning == ""


def test_the_measurement_does_not_look_at_gain_cards(take, camera, chip):
    paths = [take(f"b{n}", minutes=n, GAIN=7.0) for n in range(3)]
    paths += [take(f"f{n}", "Flat Field", 5.0, 6000.0, "V", minutes=20 + n, GAIN=7.0) for n in range(3)]
    assert measure_gain_from_files(paths, camera).gain == pytest.approx(chip.gain, rel=0.03)


def test_without_frames_the_gain_is_assumed(camera):
    assert measure_gain_from_files([], camera) == ASSUMED


# --- gain of the master bias -----------------------------------------------------------------------------------------


UNKNOWN = {"GAIN": None, "RDNOISE": None}


@pytest.fixture
def bias_with(take, camera, tmp_path):
    """Make and load a master bias of three frames with such cards."""

    def make(**cards):
        path = tmp_path / "master_bias.fits"
        write_product(path, finished([take(f"b{n}", minutes=n, **cards) for n in range(3)], camera))
        return load_master(path)

    return make


def test_frames_without_a_gain_take_that_of_their_master_bias(take, camera, bias_with):
    noise = find_gain(read_header(take("a", **UNKNOWN)), camera, choose_gain(None, bias_with(GAIN=2.4, RDNOISE=7.0)))
    assert (noise.gain, noise.read_noise, noise.warning) == (2.4, 7.0, "")
    assert "20240301" in noise.source


def test_an_assumed_gain_of_the_bias_is_not_used(take, camera, bias_with):
    bias = bias_with(**UNKNOWN)
    assert read_master_gain(bias) is None
    assert choose_gain(None, bias) is None
    assert find_gain(read_header(take("a", **UNKNOWN)), camera, choose_gain(None, bias)) == ASSUMED


def test_the_measurement_of_the_night_is_preferred_to_the_gain_of_its_bias(bias_with):
    bias = bias_with(GAIN=2.4, RDNOISE=7.0)
    assert choose_gain(MEASURED, bias) == MEASURED
    half = GainAndReadNoise(1.0, 4.0, "read noise from 2 pairs of bias", ASSUMED.warning)
    assert choose_gain(half, bias).gain == 2.4
    assert choose_gain(half, None) == half


def test_an_empty_bias_and_a_bias_of_another_program_have_no_gain(take, camera, tmp_path):
    write_product(tmp_path / "refused.fits", finished([truncate(take("torn"))], camera))
    fits.PrimaryHDU(np.zeros((128, 128), np.float32)).writeto(tmp_path / "plain.fits")
    for name in ("refused.fits", "plain.fits"):
        assert read_master_gain(load_master(tmp_path / name)) is None


def light_of(product, chip):
    good = product.mask == 0
    return np.median(product.data[good] / chip.response["V"][good])


def test_a_science_frame_without_a_gain_is_in_electrons_of_its_bias(take, camera, chip, bias_with):
    product = reduced(sky_frame(take, **UNKNOWN), batch(camera, bias_with()))
    assert light_of(product, chip) == pytest.approx(480, rel=0.02)  # 320 ADU at 1.5 e-/ADU
    assert not [text for text in read_warnings(product.header) if "skipped" not in text]


def test_a_science_frame_without_any_gain_is_warned_about(take, camera, chip, bias_with):
    product = reduced(sky_frame(take, **UNKNOWN), batch(camera, bias_with(**UNKNOWN)))
    assert light_of(product, chip) == pytest.approx(320, rel=0.02)
    assert any("unknown gain" in text for text in read_warnings(product.header))


def test_an_unknown_read_noise_of_the_bias_stays_warned_about(take, camera, bias_with):
    product = reduced(sky_frame(take, **UNKNOWN), batch(camera, bias_with(RDNOISE=None)))
    assert any("unknown read noise" in text for text in read_warnings(product.header))


# --- overscan beside the image area only -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["row_median", "row_mean", "smooth"])
def test_rows_outside_the_image_area_need_no_overscan(method, take, camera):
    by_row = replace(camera, overscan_method=method)
    sections = {"TRIMSEC": "[1:128,1:100]", "BIASSEC": "[129:160,1:100]"}
    (frame,) = open_frames([take("a", **sections)], by_row).frames
    electrons, _ = frame.readout.read()
    assert electrons.shape == (100, 128)
    assert np.isfinite(electrons).all()
    assert np.isfinite(frame.readout.overscan_variance).all()
    shorter = sections | {"BIASSEC": "[129:160,1:99]"}
    refused = finished([take("b", **shorter)], by_row).header["EMPTY"]
    assert "row 99 has no overscan pixel" in refused


# --- what is the machine's fault -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reading",
    [lambda p, c: open_frames([p], c), lambda p, c: reduce_frame(p, p.with_suffix(".out"), batch(c))],
)
def test_no_frame_is_rejected_because_the_machine_has_no_file_left_to_open(reading, take, camera, monkeypatch):
    path = take("a")

    def full(*args, **kwargs):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(fits, "open", full)
    monkeypatch.setattr("builtins.open", full)
    with pytest.raises(OSError, match="Too many open files"):
        reading(path, camera)


def count_open_files(folder):
    links = [Path("/proc/self/fd") / fd for fd in os.listdir("/proc/self/fd")]
    return sum(str(link.readlink()).startswith(str(folder)) for link in links if link.is_symlink())


@pytest.mark.parametrize(("most", "held"), [(2, 1), (5, 5)])
def test_a_stack_of_many_frames_holds_no_file_open(most, held, take, camera, tmp_path, monkeypatch):
    counts = []

    def counting(self, start, stop, out=None, words=RawImage.words):
        found = words(self, start, stop, out)
        counts.append(count_open_files(tmp_path))
        return found

    opened = open_frames([take(f"b{n}", minutes=n) for n in range(5)], camera)
    monkeypatch.setattr(inputs, "MOST_OPEN", most)
    monkeypatch.setattr(stack, "BLOCK_BYTES", 2 * 5 * 160 * 40)
    monkeypatch.setattr(RawImage, "words", counting)
    master = finish_master("bias", opened, lambda: stack_biases(opened.frames), {})
    assert len(counts) > 5 * 3  # each level, and blocks of 40 rows
    assert max(counts) == held
    assert master.header["NCOMBINE"] == 5
    assert count_open_files(tmp_path) == 0


def test_a_frame_rejected_at_opening_leaves_its_time_in_the_master(take, camera):
    paths = [take(f"b{n}", minutes=10 * n) for n in range(3)]
    with fits.open(paths[1]) as hdus:
        image = hdus[0].data.astype(np.float32)
        image[:, 128:] = np.nan
        header = hdus[0].header.copy()
    del header["BZERO"], header["BSCALE"]
    fits.PrimaryHDU(image, header).writeto(paths[1], overwrite=True)
    header = finished(paths, camera).header
    assert header["REJ001"] == "b1.fits"
    # 22:10 of 1 March 2024
    assert header["REJM001"] == pytest.approx(60370 + (22 + 1 / 6) / 24, abs=1e-6)
