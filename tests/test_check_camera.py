"""Whoever writes a camera file can see what it makes of a frame."""

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


def lines(understood):
    return dict(understood.lines)


def test_a_good_frame_is_explained_line_by_line(take, generic):
    understood = check_frame(generic, take())
    told = lines(understood)
    assert told["type"].startswith("flat, by rule ")
    assert "IMAGETYP = 'Flat Field'" in told["type"]
    assert told["start"].startswith("2024-03-01 22:00:00 UTC")
    assert told["exposure"] == "5 s (EXPTIME = 5.0)"
    assert told["night"] == "20240301 (longitude -70 deg east)"
    assert told["filter"] == "V (FILTER = 'V')"
    assert told["binning"].startswith("1 x 1")
    assert told["gain"] == "1.5 e-/ADU (GAIN = 1.5)"
    assert told["read noise"] == "6 e- (RDNOISE = 6.0)"
    assert told["saturation"] == "60000 ADU (SATURATE = 60000.0)"
    assert told["image"].startswith("[1:128,1:96] of 160 x 96 pixels")
    assert told["overscan"].startswith("[129:160,1:96], by clipped_mean")
    assert told["amplifier 1"].startswith("[1:128,1:96]")
    assert told["pixels"].startswith("128 x 96 are kept; median ")
    assert understood.problems == []
    assert understood.verdict == "The frame would be used."


def test_what_the_header_does_not_tell_comes_from_the_camera_file(take, tmp_path):
    text = (CAMERAS / "generic.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(f"{text}\nread_noise: 5.5\n")
    told = lines(check_frame(load_camera(tmp_path / "mine.yaml"), take(RDNOISE="")))
    assert told["read noise"] == "5.5 e- (camera file)"


def test_every_problem_is_told_not_just_the_first(take, generic):
    understood = check_frame(generic, take(EXPTIME="5,0", BIASSEC="[500:600,1:96]", GAIN=-3.0))
    text = " ".join(understood.problems)
    assert "EXPTIME" in text
    assert "BIASSEC" in text
    assert "GAIN" in text
    assert lines(understood)["filter"] == "V (FILTER = 'V')"
    assert understood.verdict == "The frame would be set aside."


def test_a_card_that_its_type_does_without_does_not_set_a_frame_aside(take, generic):
    path = take("Bias Frame", EXPTIME=0.0)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"FILTER  = 'V       '", b"FILTER  = 3,2E-05   "))
    understood = check_frame(generic, path)
    assert "FILTER" in " ".join(understood.problems)
    assert understood.verdict == "The frame would be used."
    assert "pixels" in lines(understood)


def test_a_frame_of_another_camera_is_told(take):
    problems = check_frame(load_camera(CAMERAS / "nickel.yaml"), take(OBSTYPE="OBJECT", COVER=32, ROVER=0)).problems
    assert any("nickel.yaml does not recognise the header: it asks for INSTRUME" in text for text in problems)


def test_a_type_that_is_not_reduced_is_told(take, tmp_path):
    text = (CAMERAS / "generic.yaml").read_text().replace("types:", 'types:\n  - other: {type: "focus*"}')
    (tmp_path / "mine.yaml").write_text(text)
    understood = check_frame(load_camera(tmp_path / "mine.yaml"), take("Focus"))
    assert understood.verdict == "The frame would be listed and not used."


def test_truncated_pixels_are_a_problem(take, generic):
    path = take()
    path.write_bytes(path.read_bytes()[:9000])
    assert check_frame(generic, path).problems


@pytest.mark.parametrize("camera", sorted(CAMERAS.glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "path", sorted(path for path in FRAMES.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_a_real_frame_is_explained_or_refused_with_a_reason_by_any_camera_file(camera, path):
    understood = check_frame(load_camera(camera), path)
    assert understood.problems if understood.set_aside else "pixels" in lines(understood)
    if read_frame(path, path.name, [load_camera(camera)]).problem:
        assert understood.set_aside


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "nightcal.check_camera", *map(str, arguments)],
        cwd=REPOSITORY / "workflow",
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_command_prints_and_ends_with_0_for_a_good_frame(take):
    done = run(CAMERAS / "generic.yaml", take())
    assert done.returncode == 0
    assert "The frame would be used." in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("camera", "frame"),
    [(CAMERAS / "generic.yaml", Path("absent.fits")), (Path("absent.yaml"), Path("absent.fits")), (CAMERAS, CAMERAS)],
)
def test_what_is_not_there_ends_with_1_and_no_traceback(camera, frame):
    done = run(camera, frame)
    assert done.returncode == 1
    assert done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_of_several_frames_one_that_is_bad_ends_with_1(take, monkeypatch, capsys):
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
    understood = check_frame(load_camera(CAMERAS / "lco-sinistro.yaml"), path)
    told = lines(understood)
    assert understood.problems == []
    assert told["file"] == "544 x 522 pixels, planes: 4"
    assert [told[f"gain {n}"] for n in (1, 2, 3, 4)] == [f"{g} e-/ADU (GAIN = {g})" for g in (6.42, 6.23, 6.27, 6.26)]
    assert told["overscan 4"].startswith("[520:540,1:512]")
    assert told["detector 2"].startswith("[1025:2048,1025:2048]")
    assert told["amplifier 3"].startswith("[513:1024,1:512]")
    assert told["crosstalk"].startswith("4 coefficients")
