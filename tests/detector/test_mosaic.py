"""Frames of several amplifiers: mosaic, crosstalk, linearity, and nights that agree with the truth."""

import json
import re
from datetime import datetime

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY, make_masters
from hypothesis import given
from hypothesis import strategies as st
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.crosstalk import Order, read_together
from nightcal.detector.linearity import linearise
from nightcal.detector.mosaic import find_mosaic_shape, place_amplifiers
from nightcal.detector.mosaic_readout import Mosaic
from nightcal.errors import FrameRejectedError
from nightcal.flags import Flag
from nightcal.io.sections import Area, parse_section
from nightcal.masters.bias import stack_biases
from nightcal.masters.dark import stack_darks
from nightcal.masters.make import finish_master
from nightcal.planning.frames import read_frame
from nightcal.science.calibrator import Calibrator
from nightcal.science.reduce import ScienceBatch, reduce_frame
from nightcal.simulation.camera import GHOST, simulate_camera
from nightcal.simulation.night import simulate_night
from nightcal.simulation.truth import compare_with_truth
from nightcal.stacking.open_frames import open_frames

CAMERAS = REPOSITORY / "config/cameras"
FEW = {"n_bias": 9, "n_dark": 5, "n_flat": 7, "n_science": 2, "filters": ("V",), "sky": (8.0,), "n_stars": 20}
START = datetime(2024, 3, 1, 21)
SINGLE = {
    "IMAGETYP": "light", "EXPTIME": 10.0, "DATE-OBS": "2024-03-01T21:00:00", "GAIN": 1.0, "RDNOISE": 5.0, "FILTER": "V",
}  # fmt: skip
WHOLE = ["[1:2048,1:2048]", "[1:2048,1:2048]", "[1:2048,2:2049]", "[1:2048,2:2049]"]
SHORT = ["[1:2048,1:2048]", "[1:2048,1:2048]", "[1:2048,2:2048]", "[1:2048,2:2048]"]
LOWER = ["[1:2048,1:2048]", "[4096:2049,1:2048]"]
UPPER = ["[4096:2049,4096:2049]", "[1:2048,4096:2049]"]
UPPER_SHORT = ["[4096:2049,4096:2050]", "[1:2048,4096:2050]"]


def parse_areas(*texts):
    return [parse_section(text) for text in texts]


def shrink_cube(folder, size):
    """Shrink the amplifiers in the camera file of the cube to ``size`` pixels."""
    text = (CAMERAS / "lco-sinistro-cube.yaml").read_text()
    numbers = {4096: 2 * size, 2080: size + 32, 2055: size + 7, 2050: size + 2, 2049: size + 1, 2048: size}
    numbers |= {1040: size // 2 + 16, 1028: size // 2 + 4, 1024: size // 2}
    path = folder / "cube.yaml"
    path.write_text(re.sub(r"\b\d{4}\b", lambda found: str(numbers.get(int(found[0]), found[0])), text))
    return load_camera(path)


def test_the_four_quadrants_of_the_specification_fill_the_detector():
    places = place_amplifiers(parse_areas(*WHOLE), parse_areas(*LOWER, *UPPER), (1, 1))
    assert find_mosaic_shape(places) == (4096, 4096)
    assert [str(p.area) for p in places] == [
        "[1:2048,1:2048]", "[2049:4096,1:2048]", "[2049:4096,2049:4096]", "[1:2048,2049:4096]",
    ]  # fmt: skip
    assert [(p.flip_x, p.flip_y) for p in places] == [(False, False), (True, False), (True, True), (False, True)]


def test_a_row_that_is_not_read_out_lies_at_the_seam():
    places = place_amplifiers(parse_areas(*SHORT), parse_areas(*LOWER, *UPPER_SHORT), (1, 1))
    assert find_mosaic_shape(places) == (4096, 4096)
    assert str(places[2].area) == "[2049:4096,2050:4096]"


@pytest.mark.parametrize("rows", [2047, 2048, 2049])
def test_binning_an_odd_number_of_rows_does_not_shift_the_seam(rows):
    upper = [f"[4096:2049,4096:{4097 - rows}]", f"[1:2048,4096:{4097 - rows}]"]
    images = ["[1:1024,1:1024]"] * 2 + [f"[1:1024,1:{rows // 2}]"] * 2
    places = place_amplifiers(parse_areas(*images), parse_areas(*LOWER, *upper), (2, 2))
    assert find_mosaic_shape(places) == (2048, 2048)
    assert places[2].area.ymax == places[3].area.ymax == 2048
    assert places[2].area.ymin == 2048 - rows // 2


def test_binning_may_differ_between_the_axes():
    images = parse_areas(*["[1:1024,1:2048]"] * 4)
    places = place_amplifiers(images, parse_areas(*LOWER, *UPPER), (2, 1))
    assert find_mosaic_shape(places) == (4096, 2048)


def test_binned_pixels_off_the_grid_are_moved_to_it_and_marked():
    places = place_amplifiers(parse_areas("[1:4,1:4]", "[1:4,1:4]"), parse_areas("[1:8,1:8]", "[1:8,17:10]"), (2, 2))
    assert [p.area.ymin for p in places] == [0, 4]
    assert [p.off_grid for p in places] == [False, True]


@pytest.mark.parametrize(
    ("images", "detectors", "reason"),
    [
        (["[1:8,1:8]"] * 2, ["[1:8,1:8]", "[5:12,1:8]"], "amplifiers 1 and 2 overlap"),
        (["[1:8,1:8]"] * 2, ["[1:8,1:8]", "[9:12,1:8]"], "amplifier 2: .* holds 8 columns .* 4"),
    ],
)
def test_impossible_sections_reject_the_frame(images, detectors, reason):
    with pytest.raises(FrameRejectedError, match=reason):
        place_amplifiers(parse_areas(*images), parse_areas(*detectors), (1, 1))


def test_amplifiers_a_billion_pixels_apart_reject_the_frame():
    far = "[1000000001:1000002048,2000000001:2000002048]"
    with pytest.raises(FrameRejectedError, match="lie far apart: the mosaic would have 1000002048 x 2000002048"):
        place_amplifiers(parse_areas("[1:2048,1:2048]", "[1:2048,1:2048]"), parse_areas("[1:2048,1:2048]", far), (1, 1))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.lists(st.integers(1, 6), min_size=1, max_size=3),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.randoms(use_true_random=False),
)
def test_amplifiers_assembled_give_the_detector(widths, heights, binning, choice):
    """Cut a detector into rectangles, flip and bin them at random, and assemble them again."""
    shape = sum(heights), sum(widths)
    detector = np.arange(shape[0] * shape[1]).reshape(shape)
    found = np.full(shape, -1)
    images, sections, read = [], [], []
    for y, height in zip(np.cumsum([0, *heights]), heights, strict=False):
        for x, width in zip(np.cumsum([0, *widths]), widths, strict=False):
            flip_x, flip_y = choice.random() < 0.5, choice.random() < 0.5
            pixels = detector[y : y + height, x : x + width][:: -1 if flip_y else 1, :: -1 if flip_x else 1]
            images.append(Area(0, width, 0, height))
            bx, by = binning
            sections.append(Area(x * bx, (x + width) * bx, y * by, (y + height) * by, flip_x, flip_y))
            read.append(pixels)
    for where, pixels in zip(place_amplifiers(images, sections, binning), read, strict=True):
        found[where.area.slices] = pixels[:: -1 if where.flip_y else 1, :: -1 if where.flip_x else 1]
    np.testing.assert_array_equal(found, detector)


def test_pixels_are_read_together_at_equal_distance_from_their_corners():
    region = Area(0, 100, 0, 50)
    left, right = Order(region), Order(region, from_right=True)
    assert read_together(Area(0, 10, 5, 7), left, left) == Area(0, 10, 5, 7)
    assert read_together(Area(0, 10, 5, 7), left, right) == Area(90, 100, 5, 7, flip_x=True)
    halves = Order(Area(0, 50, 0, 50)), Order(Area(50, 100, 0, 50), from_right=True)
    assert read_together(Area(0, 1, 3, 4), *halves) == Area(99, 100, 3, 4, flip_x=True)


def test_the_linearity_correction_recovers_signal_and_slope():
    true = np.linspace(0, 60000, 1001)
    seen = (np.sqrt(1 + 4 * 1e-6 * true) - 1) / 2e-6  # seen (1 + 1e-6 seen) = true
    corrected, slope = linearise(seen.astype(np.float32), [1e-6])
    np.testing.assert_allclose(corrected, true, rtol=1e-6, atol=0.01)
    np.testing.assert_allclose(slope[1:-1], np.gradient(true, seen)[1:-1], rtol=1e-4)
    assert linearise(np.float32([-5.0]), [1e-3])[0] == np.float32(-5.0)


def test_a_night_with_a_nonlinear_response_agrees_with_the_truth(tmp_path):
    text = (CAMERAS / "lco-sinistro.yaml").read_text()
    (tmp_path / "bent.yaml").write_text(text.replace("DETSEC}", "DETSEC, linearity_polynomial: [4.0e-6, 1.0e-11]}"))
    bent = load_camera(tmp_path / "bent.yaml")
    simulated = simulate(tmp_path, bent, 96)
    for comparison in compare_with_truth(reduce_folder(tmp_path / "raw", bent), tmp_path / "truth"):
        assert comparison.everywhere.width == pytest.approx(1, abs=0.02)
        assert comparison.everywhere.mean == pytest.approx(0, abs=0.02)
    straight = load_camera(CAMERAS / "lco-sinistro.yaml")
    wrong = compare_with_truth(reduce_folder(tmp_path / "raw", straight), tmp_path / "truth")
    assert max(comparison.everywhere.width for comparison in wrong) > 1.05
    assert simulated.shape == (192, 192)


def reduce_folder(folder, camera):
    """Reduce the night in a folder; return the folder of its science frames."""
    made = make_masters(folder, camera)
    batch = ScienceBatch(camera=camera, masters=made)
    science = folder.parent / "science"
    for path in sorted(folder.glob("field_*.fits")):
        reduce_frame(path, science / path.name, batch)
    return science


def simulate(folder, camera, size, binning=(1, 1), **changes):
    simulated = simulate_camera(camera, size, binning)
    simulate_night(folder / "raw", folder / "truth", camera=simulated, **FEW | changes)
    return simulated


@pytest.mark.parametrize("binning", [(1, 1), (2, 1)])
def test_nights_of_extensions_agree_with_the_truth(tmp_path, binning):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulated = simulate(tmp_path, camera, 96, binning)
    science = reduce_folder(tmp_path / "raw", camera)
    for comparison in compare_with_truth(science, tmp_path / "truth"):
        assert comparison.sky.n_pixels > 30000
        assert comparison.sky.width == pytest.approx(1, abs=0.02)
        assert comparison.sky.mean == pytest.approx(0, abs=0.02)
    with fits.open(science / "field_V_001.fits") as hdus:
        header = hdus[0].header
        assert (header["NAMPS"], header["XTALKCOR"], header["GAIN"], header["RAWGAIN"]) == (4, True, 1.0, 0.0)
        assert [header[f"GAINUS{n:02d}"] for n in range(1, 5)] == pytest.approx(simulated.gains)
        assert header["AMPSEC03"] == "[97:192,97:192]"


@pytest.mark.parametrize(("rows", "binning"), [("before 2016", (1, 1)), ("after", (1, 1)), ("after", (2, 2))])
def test_nights_of_cubes_agree_with_the_truth(tmp_path, rows, binning):
    camera = shrink_cube(tmp_path, 64)
    simulated = simulate_camera(camera, 64, binning)
    assert simulated.plane_shape[0] == (65 if binning == (1, 1) else 32)
    if rows == "before 2016":
        text = camera.path.read_text().replace('["[1:64,2:65]", "[1:64,2:64]"', '["[1:64,2:64]"')
        camera.path.write_text(text)
        camera = load_camera(camera.path)
        simulated = simulate_camera(camera, 64, binning)
        assert simulated.plane_shape[0] == 64
    simulate_night(tmp_path / "raw", tmp_path / "truth", camera=simulated, **FEW)
    science = reduce_folder(tmp_path / "raw", camera)
    for comparison in compare_with_truth(science, tmp_path / "truth"):
        chance = comparison.sky.n_pixels**-0.5
        assert comparison.sky.width == pytest.approx(1, abs=max(0.02, 3 * chance))
        assert comparison.sky.mean == pytest.approx(0, abs=max(0.02, 3 * chance))
    mask = fits.getdata(science / "field_V_001.fits", "MASK")
    unseen = np.flatnonzero((mask & Flag.NO_DATA > 0).all(axis=1))
    assert list(unseen) == ([64] if simulated.plane_shape[0] == 64 else [])


def test_extensions_cube_and_one_plane_give_the_same_pixels(tmp_path):
    """Compare the extensions with a cube of the same planes, and with one assembled plane."""
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulated = simulate(tmp_path, camera, 48, n_bias=1, n_dark=1, n_flat=1, n_science=1)
    path = next((tmp_path / "raw").glob("field_*.fits"))
    text = shrink_cube(tmp_path, 48).path.read_text()
    for n, rows in enumerate(("1:48", "1:48", "2:49", "2:49"), start=1):  # the very pixels of the extensions
        text = text.replace(f"- plane: {n}\n", f'- plane: {n}\n    overscan: ["[49:80,{rows}]"]\n')
    (tmp_path / "cube.yaml").write_text(text)
    cube_camera = load_camera(tmp_path / "cube.yaml")
    with fits.open(path) as hdus:
        planes = np.stack([hdu.data for hdu in hdus[1:]])
        cards = hdus[0].header
    shifted = np.zeros((4, 49, 80), np.uint16)
    shifted[:2, :48], shifted[2:, 1:] = planes[:2], planes[2:]  # the cube has a row more before amplifiers 3 and 4
    for i, j in ((0, 1), (2, 3)):
        assert simulated.crosstalk[i, j] == GHOST
    cards["GAIN"] = str(list(simulated.gains))
    (tmp_path / "cube").mkdir()
    fits.PrimaryHDU(shifted, cards).writeto(tmp_path / "cube" / path.name)

    def calibrate_pixels(raw, camera, out):
        reduce_frame(raw, out, ScienceBatch(camera=camera))
        return fits.getdata(out), fits.getdata(out, "UNCERT"), fits.getdata(out, "MASK")

    extensions = calibrate_pixels(path, camera, tmp_path / "extensions.fits")
    cube = calibrate_pixels(tmp_path / "cube" / path.name, cube_camera, tmp_path / "cube.fits")
    np.testing.assert_array_equal(extensions[2], cube[2])
    np.testing.assert_allclose(cube[0], extensions[0], rtol=1e-6, atol=1e-3)

    opened = open_frames([path], camera)
    electrons, flags = opened.frames[0].readout.read()
    np.testing.assert_array_equal(flags, extensions[2])
    cards["GAIN"] = 1.0
    fits.PrimaryHDU(electrons, cards).writeto(tmp_path / "plane.fits")
    one = Calibrator(gain=1.0, read_noise=6.0).prepare(tmp_path / "plane.fits").product()
    np.testing.assert_allclose(one.data, extensions[0], rtol=1e-6, atol=1e-3)


def test_the_ghost_of_a_saturated_star_is_removed(tmp_path):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulated = simulate_camera(camera, 64)
    rng = np.random.default_rng(1)
    with_ghost, without = [], []
    star = np.zeros(simulated.shape)
    star[10:20, 10:20] = 1e6  # on amplifier 1; its ghost lies on amplifier 2, read at the same time
    for n in range(40):
        path = tmp_path / f"{n}.fits"
        electrons = rng.poisson(400.0, simulated.shape) + star
        simulated.write(path, simulated.digitise(electrons, rng), "science", 10.0, START, filter="V")
        opened = open_frames([path], camera)
        readout = opened.frames[0].readout
        assert isinstance(readout, Mosaic)
        without.append(readout.read()[0][10:20, 108:118])
        readout.crosstalk[:] = 0
        with_ghost.append(readout.read()[0][10:20, 108:118])
    sky_sigma = np.std(without)
    assert abs(np.mean(without) - 400) < 0.1 * sky_sigma
    assert np.mean(with_ghost) - 400 > sky_sigma


HALVES = """
name: halves
title: two amplifiers that share an image
cards: {exposure: EXPTIME, start: DATE-OBS, filter: FILTER, gain: GAIN, type: IMAGETYP, read_noise: RDNOISE}
types: [{bias: {type: bias}}, {dark: {type: dark}}, {flat: {type: flat}}, {science: {type: light}}]
amplifiers:
  - {plane: 1, image: "[1:64,1:96]", overscan: ["[65:80,1:96]"], detector: "[1:64,1:96]"}
  - plane: 1
    image: "[97:160,1:96]"
    overscan: ["[81:96,1:96]"]
    detector: "[65:128,1:96]"
    corner: lower right
crosstalk: {coefficients: [[0, 0.01], [0.02, 0]]}
"""


@pytest.fixture
def halves(tmp_path):
    """Load a camera whose two halves on one image are read out to the left and to the right."""
    (tmp_path / "halves.yaml").write_text(HALVES)
    return load_camera(tmp_path / "halves.yaml")


def test_a_night_of_amplifiers_on_one_image_agrees_with_the_truth(tmp_path, halves):
    simulate(tmp_path, halves, 96, n_stars=5)
    for comparison in compare_with_truth(reduce_folder(tmp_path / "raw", halves), tmp_path / "truth"):
        assert comparison.sky.n_pixels > 10000
        assert comparison.sky.width == pytest.approx(1, abs=0.03)
        assert comparison.sky.mean == pytest.approx(0, abs=0.03)


def test_a_ghost_on_a_shared_image_is_mirrored(tmp_path, halves):
    simulated = simulate_camera(halves, 96)
    electrons = np.zeros(simulated.shape)
    electrons[20:24, 10:14] = 40000.0
    raw = simulated.digitise(electrons, np.random.default_rng(3))
    simulated.write(tmp_path / "a.fits", raw, "science", 10.0, START, filter="V")
    readout = open_frames([tmp_path / "a.fits"], halves).frames[0].readout
    ghost = np.s_[20:24, 128 - 14 : 128 - 10]
    assert abs(readout.read()[0][ghost].mean()) < 6
    readout.crosstalk[:] = 0
    assert readout.read()[0][ghost].mean() == pytest.approx(0.01 * 40000 * 1.05, rel=0.02)  # of ADU: the gains differ


def test_the_seams_are_invisible(tmp_path):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulate(tmp_path, camera, 256, n_stars=0, cosmics=0, n_science=1, n_bias=16, n_flat=9)
    science = reduce_folder(tmp_path / "raw", camera)
    with fits.open(science / "field_V_001.fits") as hdus:
        image, sigma = hdus[0].data, hdus["UNCERT"].data
    across = np.median(image[:, 256:264] - image[:, 248:256]), np.median(image[256:264] - image[248:256])
    assert np.max(np.abs(across)) < 0.05 * np.median(sigma)


@pytest.mark.parametrize("section", ["[64:1,1:64]", "[1:64,64:1]"])
def test_a_descending_image_section_flips_the_image(tmp_path, section):
    rng = np.random.default_rng(2)
    raw = rng.integers(1000, 2000, (64, 64)).astype(np.uint16)
    fits.PrimaryHDU(raw, fits.Header({"TRIMSEC": section, **SINGLE})).writeto(tmp_path / "a.fits")
    camera = load_camera(CAMERAS / "generic.yaml")
    reduce_frame(tmp_path / "a.fits", tmp_path / "out.fits", ScienceBatch(camera=camera))
    step_x, step_y = -1 if section.startswith("[64") else 1, -1 if section.endswith("64:1]") else 1
    np.testing.assert_array_equal(fits.getdata(tmp_path / "out.fits"), raw[::step_y, ::step_x].astype(np.float32))


def test_a_file_with_more_planes_than_its_camera_file_is_rejected(tmp_path):
    cards = fits.Header(SINGLE)
    planes = [fits.ImageHDU(np.ones((8, 8), np.int16)) for _ in range(3)]
    fits.HDUList([fits.PrimaryHDU(header=cards), *planes]).writeto(tmp_path / "a.fits")
    frame = read_frame(tmp_path / "a.fits", "a.fits", [load_camera(CAMERAS / "generic.yaml")])
    assert frame.problem == "the file has 3 image planes; generic.yaml expects 1"


def test_a_plane_without_an_amplifier_rejects_the_frame(tmp_path):
    text = (CAMERAS / "lco-sinistro.yaml").read_text().replace(", planes: 4", "")
    (tmp_path / "four.yaml").write_text(text)
    camera = load_camera(tmp_path / "four.yaml")
    simulate(tmp_path, camera, 16, n_bias=1, n_dark=0, n_flat=0, n_science=0)
    path = tmp_path / "raw" / "bias_001.fits"
    assert read_frame(path, path.name, [camera]).problem == ""
    with fits.open(path, mode="update") as hdus:
        hdus.append(hdus[1].copy())
    assert read_frame(path, path.name, [camera]).problem == "the file has 5 image planes; four.yaml expects 4"


def test_planes_of_different_size_are_rejected(tmp_path):
    planes = [fits.ImageHDU(np.ones((8, n), np.int16)) for n in (8, 9)]
    fits.HDUList([fits.PrimaryHDU(header=fits.Header(SINGLE)), *planes]).writeto(tmp_path / "a.fits")
    frame = read_frame(tmp_path / "a.fits", "a.fits", [load_camera(CAMERAS / "generic.yaml")])
    assert frame.problem == "the 2 image planes differ in size: 9 x 8 and 8 x 8"


def test_a_simulated_camera_has_the_numbers_of_its_camera_file(tmp_path):
    text = """
name: bare
title: a camera whose headers have neither gain nor read noise
cards: {type: IMAGETYP, exposure: EXPTIME, start: DATE-OBS, filter: FILTER}
types: [bias: {type: bias}, dark: {type: dark}, flat: {type: flat}, science: {type: light}]
read_noise: 4
saturation: 50000
amplifiers:
  - {image: "[1:40,1:96]", overscan: ["[41:56,1:96]"], detector: "[1:40,1:96]", plane: 1, gain: 1.2}
  - {image: "[73:112,1:96]", overscan: ["[57:72,1:96]"], detector: "[41:80,1:96]", plane: 1, gain: 2.0, read_noise: 7}
"""
    (tmp_path / "bare.yaml").write_text(text)
    camera = load_camera(tmp_path / "bare.yaml")
    simulated = simulate(tmp_path, camera, 96, n_stars=5)
    assert simulated.gains == (1.2, 2.0)
    assert simulated.read_noises == (4.0, 7.0)
    assert simulated.saturation == 50000
    for comparison in compare_with_truth(reduce_folder(tmp_path / "raw", camera), tmp_path / "truth"):
        assert comparison.everywhere.width == pytest.approx(1, abs=0.05)
        assert comparison.everywhere.mean == pytest.approx(0, abs=0.05)


def test_a_simulated_star_fills_the_integers_of_a_camera_without_a_limit():
    simulated = simulate_camera(load_camera(CAMERAS / "afosc.yaml"), 32)
    electrons = np.full(simulated.shape, 1e6)
    assert (simulated.digitise(electrons, np.random.default_rng(1)) == 65535).all()


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ("UNKNOWN", "amplifier 3 has no detector section"),
        ("[1:16,1:16]", "the detector sections of amplifiers 1 and 3 overlap"),
        ("[32:10,32:17]", "amplifier 3: the image section [1:16,1:16] holds 16 columns of 1, the detector section "
         "[32:10,32:17] 23"),
    ],
)  # fmt: skip
def test_headers_with_impossible_detector_sections_reject_the_frame(tmp_path, section, problem):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulate(tmp_path, camera, 16, n_bias=1, n_dark=0, n_flat=0, n_science=0)
    path = tmp_path / "raw" / "bias_001.fits"
    assert read_frame(path, path.name, [camera]).problem == ""
    with fits.open(path, mode="update") as hdus:
        hdus[3].header["DETSEC"] = section
    assert read_frame(path, path.name, [camera]).problem == problem


@pytest.mark.parametrize("name", sorted(path.stem for path in CAMERAS.glob("*.yaml") if "cube" not in path.stem))
def test_every_shipped_camera_reads_its_simulated_night(tmp_path, name):
    camera = load_camera(CAMERAS / f"{name}.yaml")
    simulated = simulate(tmp_path, camera, 40, n_bias=2, n_dark=1, n_flat=1, n_science=1)
    frames = [read_frame(path, path.name, [camera]) for path in sorted((tmp_path / "raw").glob("*.fits"))]
    assert [frame.problem for frame in frames] == [""] * 5
    assert [frame.kind for frame in frames] == ["bias", "bias", "dark", "science", "flat"]
    opened = open_frames([tmp_path / "raw" / "field_V_001.fits"], camera)
    electrons, _ = opened.frames[0].readout.read()
    assert electrons.shape == simulated.shape


@pytest.mark.slow
def test_snakemake_reduces_a_night_of_four_amplifiers_and_compares_it_with_ccdproc(snakemake, tmp_path):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulate(tmp_path, camera, 64)
    results = snakemake.reduced(tmp_path / "raw", tmp_path / "results", measured=True, crosscheck="true")
    (folder,) = results.glob("20*")
    comparisons = compare_with_truth(folder / "science", tmp_path / "truth")
    assert [c.sky.width for c in comparisons] == pytest.approx([1, 1], abs=0.03)
    assert fits.getval(folder / "science" / "field_V_001.fits", "WCSSTAT").startswith("solved")
    for path in (folder / "masters").glob("*_lco-sinistro_*.fits"):
        assert fits.getdata(path).shape == (128, 128)
        assert fits.getval(path, "NCAMPS") == 4
    (path,) = folder.glob("crosscheck_*.json")  # one comparison with ccdproc per setup
    check = json.loads(path.read_text())
    assert check["frame"].startswith("field_V")
    assert set(check["masters"]) == {"bias", "dark", "flat"}
    assert 0 < check["median"] <= check["largest"] < 1e-3


def test_linearity_cannot_be_corrected_without_overscan(tmp_path):
    text = (CAMERAS / "generic.yaml").read_text() + "linearity_polynomial: [1.0e-6]\n"
    (tmp_path / "bent.yaml").write_text(text)
    fits.PrimaryHDU(np.ones((8, 9), np.int16), fits.Header(SINGLE)).writeto(tmp_path / "a.fits")
    frame = read_frame(tmp_path / "a.fits", "a.fits", [load_camera(tmp_path / "bent.yaml")])
    assert frame.problem == "linearity cannot be corrected: no overscan to measure the bias level"


def test_a_bias_of_another_size_gives_an_empty_dark(tmp_path):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    for size in (16, 24):
        simulate(tmp_path / str(size), camera, size, n_bias=3, n_dark=3, n_flat=1, n_science=1)
    bias = make_masters(tmp_path / "16" / "raw", camera, "bias")["bias"]
    opened = open_frames(sorted((tmp_path / "24" / "raw").glob("dark_*.fits")), camera)
    master = finish_master("dark", opened, lambda: stack_darks(opened.frames, bias), {})
    assert master.header["EMPTY"].endswith("has 32 x 32 pixels; expected 48 x 48, the size of the frames")


def test_a_frame_with_another_gain_in_one_amplifier_is_rejected(tmp_path):
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulate(tmp_path, camera, 16, n_bias=3, n_dark=1, n_flat=1, n_science=1)
    with fits.open(tmp_path / "raw" / "bias_002.fits", mode="update") as hdus:
        hdus[1].header["GAIN"], hdus[2].header["GAIN"] = hdus[2].header["GAIN"], hdus[1].header["GAIN"]
    opened = open_frames(sorted((tmp_path / "raw").glob("bias_*.fits")), camera)
    master = finish_master("bias", opened, lambda: stack_biases(opened.frames), {})
    assert (master.header["NCOMBINE"], master.header["REJ001"]) == (2, "bias_002.fits")
