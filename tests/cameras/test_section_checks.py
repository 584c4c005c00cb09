"""Overscan that other keywords call image is not used; overscan that stays in the image is told."""

import pytest
from astropy.io import fits
from helpers import REPOSITORY
from nightcal.cameras.camera_file import load_camera
from nightcal.cameras.section_checks import find_common, subtract
from nightcal.io.raw_header import RawHeader
from nightcal.io.sections import Area

GENERIC = load_camera(REPOSITORY / "config/cameras/generic.yaml")


def read(camera=GENERIC, **cards):
    warnings = []
    header = RawHeader(fits.Header(cards), 0, (128, 136))
    (sections,) = camera.sections(header, warnings.append)
    assert camera.sections(header) == (sections,)
    return [str(area) for area in sections.overscans], warnings


def test_sections_side_by_side_are_used_without_a_word():
    assert read(TRIMSEC="[1:128,1:128]", BIASSEC="[129:136,1:128]") == (["[129:136,1:128]"], [])


def test_overscan_inside_the_image_is_not_used():
    overscans, warnings = read(TRIMSEC="[1:128,1:128]", BIASSEC="[1:8,1:128]")
    assert overscans == []
    assert warnings == [
        "light in the overscan: BIASSEC is [1:8,1:128], which lies in the image: TRIMSEC is [1:128,1:128]; "
        "it is not used"
    ]


def test_a_column_of_light_is_left_out_of_the_overscan():
    overscans, warnings = read(DATASEC="[1:129,1:128]", BIASSEC="[129:136,1:128]")
    assert overscans == ["[130:136,1:128]"]
    assert "[129:129,1:128] lies in the image: DATASEC is [1:129,1:128]; [130:136,1:128] is used" in warnings[0]


def test_overscan_of_which_little_is_dark_is_not_used():
    overscans, warnings = read(TRIMSEC="[1:134,1:128]", BIASSEC="[129:136,1:128]")
    assert overscans == []
    assert len(warnings) == 1


def test_without_a_section_of_the_image_the_overscan_is_used_and_stays_in_it():
    overscans, warnings = read(BIASSEC="[129:136,1:128]")
    assert overscans == ["[129:136,1:128]"]
    assert warnings == [
        "overscan in the image: BIASSEC is [129:136,1:128]; no section of the image is known (TRIMSEC, DATASEC): "
        "the overscan stays in it"
    ]


def test_the_overscan_of_one_amplifier_must_not_lie_in_the_image_of_another(tmp_path):
    (tmp_path / "two.yaml").write_text("""
name: two
title: two amplifiers of one plane
types: [{science: {OBJECT: "*"}}]
amplifiers:
  - {plane: 1, image: "[1:64,1:128]", detector: "[1:64,1:128]", overscan: ["[65:72,1:128]"]}
  - {plane: 1, image: "[65:128,1:128]", detector: "[65:128,1:128]", overscan: ["[129:136,1:128]"]}
""")
    camera, warnings = load_camera(tmp_path / "two.yaml"), []
    first, second = camera.sections(RawHeader(fits.Header(), 0, (128, 136)), warnings.append)
    assert (len(first.overscans), len(second.overscans)) == (0, 1)
    assert "the overscan is [65:72,1:128], which lies in the image: the image is [65:128,1:128]" in warnings[0]


@pytest.mark.parametrize(
    ("area", "part", "rest"),
    [
        (Area(0, 8, 0, 10), Area(0, 1, 0, 10), Area(1, 8, 0, 10)),
        (Area(0, 8, 0, 10), Area(6, 8, 0, 10), Area(0, 6, 0, 10)),
        (Area(0, 8, 0, 10), Area(0, 8, 0, 2), Area(0, 8, 2, 10)),
        (Area(0, 8, 0, 10), Area(0, 8, 0, 10), None),
        (Area(0, 8, 0, 10), Area(2, 3, 4, 5), Area(3, 8, 0, 10)),
    ],
)
def test_what_is_left_of_an_area_is_the_largest_rectangle(area, part, rest):
    assert find_common(area, part) == part
    assert subtract(area, part) == rest
