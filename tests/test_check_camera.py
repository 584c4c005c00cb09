"""The author of a camera file can see how it interprets a frame."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.check_camera import check_frame, main
from nightcal.planning.frames import read_frame
from nightcal.simulation.night import expose, make_chip, write_raw

CAMERAS = REPOSITORY / "config" / "cameras"
FRAMES = REPOSITORY.parent / "shared" / "data" / "frames"
START = datetime(2024, 3, 1, 22)


@pytest.fixture(scope="module")
def chip():
    return make_chip((96, 128), n_hot=2, n_dead=2)


@pytest.fixture
def take(chip, tmp_path):
    """Take a raw frame; cards given replace those of the camera, None removes them."""

    def shoot(kind="Flat Field", **cards):
        path = tmp_path / "frame.fits"
        raw = expose(chip, np.random.default_rng(2), 6000.0, 5.0, "V")
        write_raw(path, raw, chip, kind, 5.0, "V", START)
        with fits.open(path, mode="update") as hdus:
            for card, value in cards.items():
                hdus[0].header[card.replace("_", "-")] = value
        return path

    return shoot


@pytest.fixture(scope="module")
def generic():
    return load_camera(CAMERAS / "generic.yaml")


def lines(check):
    return dict(check.lines)


def test_a_good_frame_is_explained_line_by_line(take, generic):
    check = check_frame(generic, take())
    shown = lines(check)
    assert shown["type"].startswith("flat, by rule ")
    assert "IMAGETYP = 'Flat Field'" in shown["type"]
    assert shown["start"].startswith("2024-03-01 22:00:00 UTC")
    assert shown["exposure"] == "5 s (EXPTIME = 5.0)"
    assert shown["night"] == "20240301 (longitude -70 deg east)"
    assert shown["filter"] == "V (FILTER = 'V')"
    assert shown["binning"].startswith("1 x 1")
    assert shown["gain"] == "1.5 e-/ADU (GAIN = 1.5)"
    assert shown["read noise"] == "6 e- (RDNOISE = 6.0)"
    assert shown["saturation"] == "60000 ADU (SATURATE = 60000.0)"
    assert shown["image"].startswith("[1:128,1:96] of 160 x 96 pixels")
    assert shown["overscan"].startswith("[129:160,1:96], method clipped_mean")
    assert shown["amplifier 1"].startswith("[1:128,1:96]")
    assert shown["pixels"].startswith("128 x 96 after trimming; median ")
    assert check.problems == []
    assert check.verdict == "The frame would be used."


def test_what_the_header_lacks_comes_from_the_camera_file(take, tmp_path):
    text = (CAMERAS / "generic.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(f"{text}\nread_noise: 5.5\n")
    shown = lines(check_frame(load_camera(tmp_path / "mine.yaml"), take(RDNOISE="")))
    assert shown["read noise"] == "5.5 e- (camera file)"


def test_all_problems_are_shown_not_only_the_first(take, generic):
    check = check_frame(generic, take(EXPTIME="long", BIASSEC="[500:600,1:96]", DATE_OBS="soon"))
    text = " ".join(check.problems)
    assert "EXPTIME" in text
    assert "BIASSEC" in text
    assert "DATE-OBS" in text
    assert lines(check)["filter"] == "V (FILTER = 'V')"
    assert check.verdict == "The frame would be rejected."


def test_a_bad_side_card_is_a_warning(take, generic):
    check = check_frame(generic, take(GAIN=-3.0))
    assert "unknown gain: GAIN is -3.0; expected e-/ADU above 0 and up to 100" in lines(check)["warning"]
    assert check.verdict == "The frame would be used."
    assert "pixels" in lines(check)


def test_a_frame_of_another_camera_is_a_problem(take):
    problems = check_frame(load_camera(CAMERAS / "nickel.yaml"), take(OBSTYPE="OBJECT", COVER=32, ROVER=0)).problems
    assert any("nickel.yaml does not recognise the header; it requires INSTRUME" in text for text in problems)


def test_a_frame_of_type_other_would_not_be_used(take, tmp_path):
    text = (CAMERAS / "generic.yaml").read_text().replace("types:", 'types:\n  - other: {type: "focus*"}')
    (tmp_path / "mine.yaml").write_text(text)
    check = check_frame(load_camera(tmp_path / "mine.yaml"), take("Focus"))
    assert check.verdict == "The frame would be listed but not used."


def test_truncated_pixels_are_a_problem(take, generic):
    path = take()
    path.write_bytes(path.read_bytes()[:9000])
    assert check_frame(generic, path).problems


@pytest.mark.parametrize("camera", ["generic", "nickel", "lco-sinistro"])
@pytest.mark.parametrize(
    "path", sorted(path for path in FRAMES.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_a_real_frame_is_explained_or_rejected_with_a_reason_by_any_camera_file(camera, path):
    camera = load_camera(CAMERAS / f"{camera}.yaml")
    check = check_frame(camera, path)
    assert check.problems if check.rejected else "pixels" in lines(check)
    if read_frame(path, path.name, [camera]).problem:
        assert check.rejected


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "nightcal.check_camera", *map(str, arguments)],
        cwd=REPOSITORY / "workflow",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_prints_and_ends_with_status_0_for_a_good_frame(take):
    done = run(CAMERAS / "generic.yaml", take())
    assert done.returncode == 0
    assert "The frame would be used." in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("camera", "frame"),
    [(CAMERAS / "generic.yaml", Path("absent.fits")), (Path("absent.yaml"), Path("absent.fits")), (CAMERAS, CAMERAS)],
)
def test_a_missing_file_ends_with_status_1_and_no_traceback(camera, frame):
    done = run(camera, frame)
    assert done.returncode == 1
    assert done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_frame_among_several_ends_with_status_1(take, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["check_camera", str(CAMERAS / "generic.yaml"), str(take()), "absent.fits"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    printed = capsys.readouterr().out
    assert "would be used" in printed
    assert "PROBLEM" in printed


def test_each_amplifier_is_explained():
    path = FRAMES / "lco" / "mef_raw_test_frame.fits"
    if not path.exists():
        pytest.skip("no real frames beside the repository (shared/data)")
    check = check_frame(load_camera(CAMERAS / "lco-sinistro.yaml"), path)
    shown = lines(check)
    assert check.problems == []
    assert shown["file"] == "544 x 522 pixels, planes: 4"
    assert [shown[f"gain {n}"] for n in (1, 2, 3, 4)] == [f"{g} e-/ADU (GAIN = {g})" for g in (6.42, 6.23, 6.27, 6.26)]
    assert shown["overscan 4"].startswith("[520:540,1:512]")
    assert shown["detector 2"].startswith("[1025:2048,1025:2048]")
    assert shown["amplifier 3"].startswith("[513:1024,1:512]")
    assert shown["crosstalk"].startswith("4 coefficients")


def test_borders_step_of_the_adc_and_overscan_in_the_image_are_shown(tmp_path, generic):
    image = np.random.default_rng(3).normal(100, 2, (64, 96))
    image[:, 80:] += 5
    path = tmp_path / "bias.fits"
    cards = {"IMAGETYP": "Bias", "EXPTIME": 0.0, "DATE-OBS": "2024-03-01T21:00:00", "BIASSEC": "[81:96,1:64]"}
    fits.PrimaryHDU(16 * np.rint(image).astype(np.uint16), fits.Header(cards)).writeto(path)
    shown = lines(check_frame(generic, path))
    assert shown["ADC"].startswith("step 16 ADU")
    assert "at column 81 (+8" in shown["column steps"]
    assert shown["row steps"].startswith("none")
    assert "it stays in the image" in shown["overscan"]
    assert shown["warning"].startswith("overscan in the image: BIASSEC")


def test_step_and_top_of_the_adc_of_a_real_camera_are_shown(generic):
    shown = lines(check_frame(generic, FRAMES / "zwo/Flat_ASIImg_frame0001.fit"))
    assert shown["ADC"].startswith("step 16 ADU; top 65520 ADU, if the ADC fills the file")


def test_the_value_at_which_pixels_pile_up_is_shown_as_top_of_the_adc(tmp_path, generic):
    flat = np.minimum(np.random.default_rng(3).normal(3900, 200, (64, 96)), 4095).astype(np.uint16)
    cards = {"IMAGETYP": "Flat", "EXPTIME": 1.0, "DATE-OBS": "2024-03-01T21:00:00", "FILTER": "V"}
    fits.PrimaryHDU(flat, fits.Header(cards)).writeto(tmp_path / "flat.fits")
    shown = lines(check_frame(generic, tmp_path / "flat.fits"))
    assert shown["ADC"] == f"step 1 ADU; top 4095 ADU, at which {np.count_nonzero(flat == 4095)} pixels pile up"


def test_two_amplifiers_of_one_plane_are_told_what_they_need(take, tmp_path):
    text = (CAMERAS / "generic.yaml").read_text()
    (tmp_path / "two.yaml").write_text(f'{text}\namplifiers: [{{detector: "[1:4,1:4]"}}, {{detector: "[5:8,1:4]"}}]\n')
    problems = check_frame(load_camera(tmp_path / "two.yaml"), take()).problems
    assert any("two.yaml expects 2; amplifiers in one plane all need plane: 1" in problem for problem in problems)
