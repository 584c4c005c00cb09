"""Masters tell the gain and read noise of each amplifier, and warn where headers say something else."""

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.amplifiers import choose_gain
from nightcal.cameras.camera_file import load_camera
from nightcal.detector.amplifier import Amplifier
from nightcal.detector.amplifier_readout import AmplifierReadout
from nightcal.flags import Flag
from nightcal.io.keywords import read_warnings
from nightcal.io.master import load_master
from nightcal.io.product import write_product
from nightcal.io.raw_image import RawImage
from nightcal.io.sections import Area
from nightcal.masters.bias import stack_biases
from nightcal.masters.flat import stack_flats
from nightcal.masters.gain import measure_gain_from_files
from nightcal.masters.make import finish_master
from nightcal.masters.noise_check import note_gain, note_read_noise
from nightcal.simulation.camera import simulate_camera
from nightcal.simulation.night import expose, make_chip, write_raw
from nightcal.stacking.calibration_frame import CalibrationFrame
from nightcal.stacking.open_frames import open_frames

CAMERAS = REPOSITORY / "config" / "cameras"
START = datetime(2024, 3, 1, 22)
SIDE = 192
GAINS, NOISES = (1.1, 1.6, 2.3, 3.0), (4.0, 5.5, 9.0, 7.0)
CORNERS = [(0, 0), (0, SIDE), (SIDE, SIDE), (SIDE, 0)]


class FourAmplifiers:
    """A readout of four quadrants, in electrons by the gains of its header."""

    def __init__(self, electrons, shares):
        self.electrons, self.shares = electrons, shares
        self.shape = electrons.shape
        self.overscan_variance = np.zeros(())
        self.image = SimpleNamespace(close=lambda: None)

    def rows(self, start, stop):
        return self.electrons[start:stop].copy(), np.zeros((stop - start, self.shape[1]), np.int16)


def quadrants(gains=GAINS, noises=NOISES):
    """Area of each amplifier, with gain and read noise from the header."""
    amplifiers = [
        SimpleNamespace(gain=gain, read_noise=noise, step=1.0) for gain, noise in zip(gains, noises, strict=True)
    ]
    return tuple(zip([Area(x, x + SIDE, y, y + SIDE) for y, x in CORNERS], amplifiers, strict=True))


def take(rng, n, light=0.0, said=None):
    """Frames of the four true amplifiers, opened with the gains that the header says."""
    frames = []
    for _ in range(n):
        image = np.empty((2 * SIDE, 2 * SIDE), np.float32)
        for (area, true), (_, used) in zip(quadrants(), said or quadrants(), strict=True):
            charge = rng.poisson(light, (SIDE, SIDE)) + rng.normal(0, true.read_noise, (SIDE, SIDE))
            image[area.slices] = np.rint(charge / true.gain) * used.gain
        frames.append(CalibrationFrame(FourAmplifiers(image, said or quadrants()), 1.0, 60000.0))
    return frames


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def cards(header, name):
    return np.array([header[f"{name}{n}"] for n in (1, 2, 3, 4)])


def with_digitisation(gains=GAINS, noises=NOISES):
    return np.sqrt(np.square(noises) + np.square(gains) / 12)


def test_read_noise_of_four_amplifiers(rng):
    header = fits.Header()
    note_read_noise(header, take(rng, 6))
    assert cards(header, "RNMEAS") == pytest.approx(with_digitisation(), rel=0.02)
    assert cards(header, "RNADU") == pytest.approx(with_digitisation() / GAINS, rel=0.02)
    assert (cards(header, "RNERR") < 0.01 * cards(header, "RNMEAS")).all()
    assert (abs(cards(header, "RNMEAS") - with_digitisation()) < 4.5 * cards(header, "RNERR")).all()
    assert not read_warnings(header)


def test_gain_of_four_amplifiers(rng):
    header = fits.Header()
    note_gain(header, take(rng, 6, 20000.0), None)
    assert cards(header, "GNMEAS") == pytest.approx(GAINS, rel=0.02)
    assert (abs(cards(header, "GNMEAS") - GAINS) < 4.5 * cards(header, "GNERR")).all()
    assert not read_warnings(header)


def test_a_wrong_gain_of_one_amplifier_is_found_and_named(rng, caplog):
    said = quadrants(gains=(1.1, 2.26, 2.3, 3.0))
    header = fits.Header()
    note_gain(header, take(rng, 6, 20000.0, said), None)
    assert cards(header, "GNMEAS") == pytest.approx(GAINS, rel=0.02)
    (text,) = read_warnings(header)
    assert text.startswith("gain differs: amplifier 2: gain of 2.26 e-/ADU used, 1.")
    assert text in caplog.text


def test_a_wrong_read_noise_of_one_amplifier_is_found_and_named(rng):
    header = fits.Header()
    note_read_noise(header, take(rng, 6, said=quadrants(noises=(4.0, 5.5, 9.0, 5.0))))
    (text,) = read_warnings(header)
    assert text.startswith("read noise differs: amplifier 4: read noise of 5 e- used, 7.")


@pytest.mark.parametrize("percent", [-1.5, 2])
def test_a_gain_that_is_a_little_wrong_gives_no_warning(percent, rng):
    said = quadrants(np.multiply(GAINS, 1 + percent / 100), NOISES)
    header = fits.Header()
    note_gain(header, take(rng, 6, 20000.0, said), None)
    assert "GNMEAS1" in header
    assert not read_warnings(header)


@pytest.mark.parametrize("lights", [(3.0,) * 4, (20000.0, 1000.0, 20000.0, 1000.0), (20000.0,)])
def test_unsuitable_flats_give_no_card_and_no_warning(lights, rng):
    header = fits.Header()
    note_gain(header, [take(rng, 1, light)[0] for light in lights], None)
    assert not list(header)


def test_an_unknown_read_noise_is_measured_and_not_compared(rng):
    header = fits.Header()
    note_read_noise(header, take(rng, 6, said=quadrants(noises=(0.0,) * 4)))
    assert cards(header, "RNMEAS") == pytest.approx(with_digitisation(), rel=0.02)
    assert not read_warnings(header)


def test_a_saturated_amplifier_is_skipped_and_the_others_are_measured(rng):
    frames = take(rng, 4, 20000.0)
    for frame in frames:
        plain = frame.readout.rows

        def rows(start, stop, plain=plain):
            electrons, flags = plain(start, stop)
            if start < SIDE:
                flags[:, :SIDE] = Flag.SATURATED
            return electrons, flags

        frame.readout.rows = rows
    header = fits.Header()
    note_gain(header, frames, None)
    assert "GNMEAS1" not in header
    assert [header[f"GNMEAS{n}"] for n in (2, 3, 4)] == pytest.approx(GAINS[1:], rel=0.02)


# --- in masters ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chip():
    return make_chip((SIDE, SIDE))


@pytest.fixture
def frames(chip, tmp_path):
    """Take frames of the chip, opened with the gain and read noise that a header says."""

    def take(n, adu=0.0, stem="bias", gain=chip.gain, read_noise=chip.read_noise):
        rng = np.random.default_rng(len(stem))
        taken = []
        for i in range(n):
            path = tmp_path / f"{stem}_{i}.fits"
            seconds, filter_name = (5.0, "V") if adu else (0.0, None)
            raw = expose(chip, rng, adu * chip.gain / 5, seconds, filter_name)
            write_raw(path, raw, chip, "Bias Frame", seconds, filter_name, START)
            amplifier = Amplifier(
                overscans=(Area(SIDE, SIDE + chip.overscan, 0, SIDE),),
                image_area=Area(0, SIDE, 0, SIDE),
                gain=gain,
                read_noise=read_noise,
                saturation=chip.saturation,
            )
            taken.append(CalibrationFrame(AmplifierReadout(RawImage(path), amplifier), seconds, 60370.0 + i / 1000))
        return taken

    return take


def test_masters_measure_gain_and_read_noise(frames, chip, tmp_path):
    bias = stack_biases(frames(6))
    assert bias.header["RNMEAS1"] == pytest.approx(chip.read_noise, rel=0.02)
    assert bias.header["RNADU1"] == pytest.approx(chip.read_noise / chip.gain, rel=0.02)
    assert not read_warnings(bias.header)
    write_product(tmp_path / "master.fits", bias)
    flat = stack_flats(frames(6, 20000.0, "flat"), load_master(tmp_path / "master.fits"), None)
    assert flat.header["GNMEAS1"] == pytest.approx(chip.gain, rel=0.02)
    assert not any("gain" in text for text in read_warnings(flat.header))


def test_a_wrong_gain_in_the_header_warns_in_the_flat(frames, chip, tmp_path):
    write_product(tmp_path / "master.fits", stack_biases(frames(6, gain=2.0)))
    flat = stack_flats(frames(6, 20000.0, "flat", gain=2.0), load_master(tmp_path / "master.fits"), None)
    assert flat.header["GNMEAS1"] == pytest.approx(chip.gain, rel=0.02)
    assert any(text.startswith("gain differs: gain of 2 e-/ADU used, 1.5") for text in read_warnings(flat.header))
    # 6 e- at 1.5 e-/ADU are 8 e- at 2 e-/ADU
    assert any(text.startswith("read noise differs: read noise of 6 e- used, 8") for text in read_warnings(flat.header))


def test_faint_flats_take_the_read_noise_that_the_bias_measured(frames, chip, tmp_path):
    # The header says a third of the read noise; the rest of it would pass for photon noise.
    write_product(tmp_path / "master.fits", stack_biases(frames(6, read_noise=2.0)))
    faint = frames(6, 200.0, "flat", read_noise=2.0)
    alone = stack_flats(faint, None, None)
    helped = stack_flats(faint, load_master(tmp_path / "master.fits"), None)
    assert helped.header["GNMEAS1"] == pytest.approx(chip.gain, rel=0.02)
    assert alone.header["GNMEAS1"] < 0.95 * chip.gain


def test_one_frame_gives_no_read_noise(frames):
    assert not [card for card in stack_biases(frames(1)).header if card.startswith("RN") and card != "RNUSED"]


# --- frames of four amplifiers on disk -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Bias frames and flats of a simulated camera with four amplifiers, which differ in gain and read noise."""
    folder = tmp_path_factory.mktemp("four")
    text = (CAMERAS / "lco-sinistro.yaml").read_text()
    untold = "\n".join(line for line in text.splitlines() if not line.startswith(("  gain:", "  read_noise:")))
    (folder / "untold.yaml").write_text(untold)
    camera = load_camera(CAMERAS / "lco-sinistro.yaml")
    simulated, rng = simulate_camera(camera, 128), np.random.default_rng(8)
    paths = {"bias": [], "flat": []}
    for n in range(6):
        for kind, light, minute in (("bias", 0.0, n), ("flat", 30000.0, 30 + n)):
            paths[kind].append(folder / f"{kind}_{n}.fits")
            electrons = rng.poisson(light, simulated.shape).astype(float)
            start = START + timedelta(minutes=minute)
            simulated.write(
                paths[kind][-1], simulated.digitise(electrons, rng), kind, 5.0 * (light > 0), start, filter="V"
            )
    return SimpleNamespace(camera=camera, untold=load_camera(folder / "untold.yaml"), truth=simulated, **paths)


def test_masters_measure_gain_and_read_noise_of_each_of_four_amplifiers(four, tmp_path):
    bias = stack_biases(open_frames(four.bias, four.camera).frames)
    assert cards(bias.header, "RNMEAS") == pytest.approx(four.truth.read_noises, rel=0.02)
    write_product(tmp_path / "master.fits", bias)
    flats = open_frames(four.flat, four.camera).frames
    flat = stack_flats(flats, load_master(tmp_path / "master.fits"), None)
    assert cards(flat.header, "GNMEAS") == pytest.approx(four.truth.gains, rel=0.02)
    assert not [text for text in read_warnings(flat.header) if "measured" in text]


def test_each_of_four_amplifiers_gets_its_own_measurement(four):
    noise = measure_gain_from_files([*four.bias, *four.flat], four.untold)
    assert np.transpose(noise.amplifiers) == pytest.approx(
        np.array([four.truth.gains, four.truth.read_noises]), rel=0.02
    )
    shares = open_frames(four.flat, four.untold, noise).frames[0].readout.shares
    assert [(share.gain, share.read_noise) for _, share in shares] == list(noise.amplifiers)


def test_a_night_without_a_measurement_takes_gain_and_read_noise_from_its_master_bias(four, tmp_path):
    measured = measure_gain_from_files([*four.bias, *four.flat], four.untold)
    opened = open_frames(four.bias, four.untold, measured)
    write_product(tmp_path / "master.fits", finish_master("bias", opened, lambda: stack_biases(opened.frames), {}))
    known = choose_gain(None, load_master(tmp_path / "master.fits"))
    shares = open_frames(four.flat, four.untold, known).frames[0].readout.shares
    used = [(share.gain, share.read_noise) for _, share in shares]
    np.testing.assert_allclose(used, measured.amplifiers, rtol=1e-12)
