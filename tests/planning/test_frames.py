"""Every file in the raw folder becomes a record, however damaged it is."""

import gzip
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.cameras.camera_file import load_cameras
from nightcal.io.raw_files import find_files
from nightcal.planning.frames import find_night, read_frame, scan

CAMERAS = load_cameras(REPOSITORY / "config/cameras")
CARDS = {
    "IMAGETYP": "Light Frame",
    "DATE-OBS": "2024-03-01T06:00:00",
    "EXPTIME": 10.0,
    "FILTER": "V",
    "OBJECT": "M 67",
    "INSTRUME": "a camera",
    "SITELONG": "-110 30 00",
    "XBINNING": 2,
    "YBINNING": 2,
    "GAIN": 1.5,
    "RDNOISE": 5.0,
    "BIASSEC": "[37:40,1:30]",
    "TRIMSEC": "[1:36,1:30]",
    "SET-TEMP": -20.0,
}
BLOCK = 2880


def pixels(shape=(30, 40)):
    return np.random.default_rng(5).integers(900, 1100, shape).astype(np.uint16)


def cards(**changes):
    kept = {**CARDS, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return fits.Header({name: value for name, value in kept.items() if value is not None})


def write(path, data=None, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.PrimaryHDU(pixels() if data is None else data, cards(**changes)).writeto(path)
    return path


def write_compressed(path, data=None):
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(pixels() if data is None else data, cards())]).writeto(path)
    return path


def overwrite_card(path, card, text):
    """Put the bytes of a card as no FITS library would write them."""
    content = bytearray(path.read_bytes())
    at = content.find(card.ljust(8).encode() + b"=")
    assert at % 80 == 0
    content[at : at + 80] = (card.ljust(8).encode() + b"= " + text).ljust(80)[:80]
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def good_frame(tmp_path_factory):
    return write(tmp_path_factory.mktemp("damage") / "good.fits")


def read(path):
    return read_frame(path, path.name, CAMERAS)


def test_a_frame_is_what_its_header_says(tmp_path):
    frame = read(write(tmp_path / "m67.fits"))
    assert frame.problem == ""
    assert (frame.name, frame.camera, frame.instrument, frame.kind) == ("m67.fits", "generic", "a camera", "science")
    assert (frame.target, frame.filter, frame.exposure_time, frame.set_temperature) == ("M 67", "V", 10, -20)
    assert (frame.binning, frame.shape, frame.gain, frame.read_noise) == ((2, 2), (30, 40), 1.5, 5)
    assert frame.has_overscan
    # the middle of 10 s that began at 06:00 UTC; 22:38 of 29 February at 110.5 degrees west
    assert frame.mjd == pytest.approx(Time("2024-03-01T06:00:05").mjd, abs=1e-9)
    assert frame.night == "20240229"


@pytest.mark.parametrize(
    ("card", "degrees"),
    [(-19.7, -19.7), (0, 0.0), (None, None), (-999.0, None), ("broken", None)],
)
def test_an_impossible_temperature_counts_as_missing(tmp_path, card, degrees):
    frame = read(write(tmp_path / "m67.fits", CCD_TEMP=card))
    assert frame.problem == ""
    assert frame.temperature == degrees


def in_an_extension(path):
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels(), cards())]).writeto(path)


def with_cards_in_the_primary(path):
    fits.HDUList([fits.PrimaryHDU(header=cards()), fits.ImageHDU(pixels())]).writeto(path)


def beside_a_table(path):
    table = fits.BinTableHDU.from_columns([fits.Column("X", "E", array=np.arange(3.0))])
    fits.HDUList([fits.PrimaryHDU(pixels(), cards()), table]).writeto(path)


def without_the_last_padding(path):
    write(path)
    path.write_bytes(path.read_bytes()[: BLOCK + 30 * 40 * 2])


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("a.fits", write),
        ("a.FIT", write),
        ("a.fts", write),
        ("a.fits.gz", write),
        ("a.fits.fz", write_compressed),
        ("b.fits", in_an_extension),
        ("c.fits", with_cards_in_the_primary),
        ("d.fits", beside_a_table),
        ("e.fits", lambda path: write(path, pixels()[np.newaxis])),
        ("f.fits", without_the_last_padding),
        ("g.fits", lambda path: write(path, pixels().astype(np.float32))),
    ],
)
def test_a_frame_is_the_same_in_any_file_format(tmp_path, name, make):
    make(tmp_path / name)
    plain = read(write(tmp_path / "plain" / "plain.fits"))
    wrapped = read(tmp_path / name)
    assert wrapped.problem == ""
    for attribute in (
        "kind",
        "shape",
        "mjd",
        "night",
        "exposure_time",
        "filter",
        "gain",
        "binning",
        "has_overscan",
        "instrument",
    ):
        assert getattr(wrapped, attribute) == getattr(plain, attribute), attribute


@pytest.mark.parametrize("name", ["gzipped.fits", "plain.fits.gz"])
def test_the_content_of_a_file_counts_not_its_name(tmp_path, name):
    path = write(tmp_path / "frame.fits")
    content = path.read_bytes()
    (tmp_path / name).write_bytes(gzip.compress(content) if name == "gzipped.fits" else content)
    assert read(tmp_path / name).problem == ""


@pytest.mark.parametrize("kept", [0.1, 0.999])
@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz", "a.fits.fz"])
def test_a_truncated_frame_is_rejected(tmp_path, name, kept):
    data = pixels((300, 400))
    path = (write_compressed if name.endswith(".fz") else write)(tmp_path / name, data)
    whole = path.read_bytes()
    lost = BLOCK if name != "a.fits.gz" else 0  # up to a block of padding may be missing
    path.write_bytes(whole[: int(kept * (len(whole) - lost))])
    assert read(path).problem


def test_the_message_about_a_truncated_frame_has_both_lengths(tmp_path):
    path = write(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[:4000])
    assert read(path).problem == "the file is truncated: it has 4000 bytes; its header requires 5280"


def test_a_frame_that_lost_its_last_pixels_is_rejected(tmp_path):
    path = write(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[: BLOCK + 30 * 40 * 2 - 1])
    assert "truncated" in read(path).problem


def test_a_compressed_frame_that_lost_its_last_pixels_is_rejected(tmp_path):
    path = write_compressed(tmp_path / "a.fits.fz")
    with fits.open(path, disable_image_compression=True) as hdus:
        table = hdus[1].header
        end = hdus[1].fileinfo()["datLoc"] + table["NAXIS1"] * table["NAXIS2"] + table["PCOUNT"]
    whole = path.read_bytes()
    path.write_bytes(whole[:end])
    assert read(path).problem == ""
    path.write_bytes(whole[: end - 1])
    assert "truncated" in read(path).problem


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"These are my notes of the night.\n" * 200, "the file is not FITS"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 5000, "the file is not FITS"),
        (b"\0" * 5760, "the file is not FITS"),
    ],
)
def test_a_file_that_is_not_fits_is_rejected(tmp_path, content, reason):
    (tmp_path / "a.fits").write_bytes(content)
    assert read(tmp_path / "a.fits").problem == reason


def test_a_header_without_end_is_rejected(tmp_path):
    path = write(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes().replace(b"END".ljust(80), b"ENT".ljust(80)))
    assert read(path).problem == "the header has no END card"


def test_a_broken_link_is_rejected(tmp_path):
    (tmp_path / "a.fits").symlink_to(tmp_path / "gone.fits")
    assert scan(tmp_path, CAMERAS)[0].problem == "the file cannot be opened"


def test_a_damaged_gzip_is_rejected(tmp_path):
    content = bytearray(gzip.compress(write(tmp_path / "good.fits").read_bytes()))
    content[10] = 0b111  # a kind of deflate block that does not exist
    (tmp_path / "a.fits.gz").write_bytes(content)
    assert read(tmp_path / "a.fits.gz").problem


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_that_ends_within_an_extension_is_truncated(tmp_path, packed):
    several(tmp_path / "good.fits", 3)
    content = (tmp_path / "good.fits").read_bytes()
    with fits.open(tmp_path / "good.fits") as hdus:
        content = content[: hdus[2].fileinfo()["hdrLoc"] + 400]
    name = "a.fits.gz" if packed else "a.fits"
    if packed:
        content = gzip.compress((tmp_path / "good.fits").read_bytes())[:-12]
    (tmp_path / name).write_bytes(content)
    assert "truncated" in read(tmp_path / name).problem


def several(path, number):
    fits.HDUList([fits.PrimaryHDU(header=cards()), *(fits.ImageHDU(pixels()) for _ in range(number))]).writeto(path)


def test_files_without_exactly_one_image_are_rejected(tmp_path):
    several(tmp_path / "none.fits", 0)
    several(tmp_path / "four.fits", 4)
    write(tmp_path / "cube.fits", np.zeros((3, 30, 40), np.uint16))
    write(tmp_path / "line.fits", np.zeros(40, np.uint16))
    assert read(tmp_path / "none.fits").problem == "the file contains no image"
    assert read(tmp_path / "four.fits").problem == "the file has 4 image planes; generic.yaml expects 1"
    assert read(tmp_path / "cube.fits").problem == "the file has 3 image planes; generic.yaml expects 1"
    assert read(tmp_path / "line.fits").problem == "the file contains no image"


def test_our_own_products_are_not_raw_frames(tmp_path):
    assert "product of nightcal" in read(write(tmp_path / "a.fits", NIGHTCAL="1.0")).problem


def test_a_decimal_comma_is_read(tmp_path):
    path = overwrite_card(write(tmp_path / "a.fits"), "EXPTIME", b"              3,2E-05 / Exposure time")
    assert read(path).exposure_time == 3.2e-05
    path = overwrite_card(write(tmp_path / "b.fits"), "EXPTIME", b"              1,200   / Exposure time")
    frame = read(path)
    assert frame.exposure_time == 1.2
    assert frame.warnings == ("decimal comma: the comma of EXPTIME is read as a decimal comma",)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"DATE_OBS": None}, "the start time is missing"),
        ({"EXPTIME": None}, "the exposure time is missing"),
        ({"EXPTIME": -5.0}, "EXPTIME is -5.0; expected seconds between 0 and 86400"),
        ({"EXPTIME": "long"}, "EXPTIME is 'long'; expected seconds"),
        ({"IMAGETYP": None}, "the frame type is missing"),
        ({"IMAGETYP": "Mosaic"}, "the frame type 'Mosaic' matches no rule"),
        ({"TRIMSEC": "[1:4096,1:4096]"}, "lies outside the image of 40 x 30 pixels"),
        ({"BIASSEC": "left"}, "'left' is not a section"),
    ],
)
def test_a_frame_whose_header_cannot_be_trusted_is_rejected_with_the_reason(tmp_path, changes, reason):
    assert reason in read(write(tmp_path / "a.fits", **changes)).problem


def test_a_dark_of_no_exposure_is_a_bias(tmp_path):
    frame = read(write(tmp_path / "a.fits", IMAGETYP="Dark Frame", EXPTIME=0.0))
    assert (frame.problem, frame.kind) == ("", "bias")


def test_a_calibrated_frame_is_rejected_in_its_own_night_with_the_mark(tmp_path):
    frame = read(write(tmp_path / "a.fits", CALSTAT="BDF"))
    assert frame.problem == "calibrated, not a raw frame: CALSTAT is 'BDF'"
    assert (frame.night, frame.kind, frame.filter) == ("20240229", "science", "V")
    assert "CALSTAT" in read(write(tmp_path / "b.fits", CALSTAT="BDF", EXPTIME=None, DATE_OBS="?")).problem


def test_a_colour_mosaic_is_rejected_with_what_to_do(tmp_path):
    assert "bayer: split" in read(write(tmp_path / "a.fits", BAYERPAT="RGGB")).problem


def test_a_frame_that_was_saved_again_has_a_warning(tmp_path):
    frame = read(write(tmp_path / "a.fits", SWMODIFY="MaxIm DL Version 6.13"))
    assert frame.problem == ""
    assert frame.warnings[0].startswith("saved again: SWMODIFY is 'MaxIm DL")


@pytest.mark.parametrize(
    "changes",
    [{"EXPTIME": -5.0}, {"EXPTIME": None}, {"IMAGETYP": "Mosaic"}, {"TRIMSEC": "[1:4096,1:4096]"}],
)
def test_a_rejected_frame_appears_in_its_own_night(tmp_path, changes):
    assert read(write(tmp_path / "a.fits", **changes)).night == "20240229"


@pytest.mark.parametrize("changes", [{"EXPTIME": -5.0}, {"TRIMSEC": "[1:99,1:99]"}, {"DATE-OBS": "yesterday"}])
def test_the_type_of_a_rejected_frame_is_known_if_its_header_has_it(tmp_path, changes):
    science = {"IMAGETYP": "Light Frame"}
    frame = read(write(tmp_path / "a.fits", **science, **changes))
    assert (bool(frame.problem), frame.kind) == (True, "science")
    assert read(write(tmp_path / "b.fits", **changes | {"IMAGETYP": "Mosaic"})).kind == ""


@pytest.mark.parametrize(
    "text",
    [
        "'H\N{LATIN SMALL LETTER E WITH ACUTE}lix \N{GREEK SMALL LETTER ALPHA}'".encode(),
        b"'\xff\xfe \x80'",
        b"'a\x00b'",
        b"'tab\there'",
        b"'line\nbreak'",
        b"'O''Brien, \"the\" <b>&amp;</b>'",
        b"'no end",
        b"'",
        b"",
        b"(1.0, 2.0)",
    ],
)
def test_odd_characters_in_an_object_name_do_no_harm(tmp_path, text):
    """The object's name is only shown: the frame is read, or at worst rejected in a sentence."""
    frame = read(overwrite_card(write(tmp_path / "a.fits"), "OBJECT", text))
    assert frame.problem == "" or frame.problem.startswith("OBJECT is")
    assert "\n" not in frame.problem


@pytest.mark.parametrize("card", ["EXPTIME", "DATE-OBS", "SITELONG", "XBINNING", "BIASSEC", "IMAGETYP"])
@pytest.mark.parametrize("text", [b"3,2E-05", b"(1.0, 2.0)", b"T", b"'\x00\x01'", b""])
def test_no_damaged_card_stops_the_night(tmp_path, card, text):
    frame = read(overwrite_card(write(tmp_path / "a.fits"), card, text))
    assert "\n" not in frame.problem
    assert frame.problem == "" or len(frame.problem) < 300


@pytest.mark.parametrize("card", ["NAXIS", "NAXIS1", "NAXIS2", "BITPIX", "BZERO"])
@pytest.mark.parametrize("text", [b"3,2", b"'two'", b"-1", b"999"])
def test_no_damaged_structure_stops_the_night(tmp_path, card, text):
    frame = read(overwrite_card(write(tmp_path / "a.fits"), card, text))
    assert "\n" not in frame.problem
    assert frame.problem or card in ("BZERO", "BITPIX")


@pytest.mark.parametrize("text", [b"'BINTABLE'         T / binary table", b"3,2"])
def test_a_damaged_extension_does_not_stop_the_night(tmp_path, text):
    path = write_compressed(tmp_path / "a.fits.fz")
    content = path.read_bytes()
    at = content.find(b"XTENSION=")
    path.write_bytes(content[:at] + (b"XTENSION= " + text).ljust(80) + content[at + 80 :])
    assert read(path).problem


def test_an_overscan_width_that_cannot_be_parsed_does_not_stop_the_night(tmp_path):
    changes = {
        "INSTRUME": "Nickel Direct Camera",
        "OBSTYPE": "OBJECT",
        "DATE_BEG": "2019-09-24T04:45:11.90",
        "ROVER": 0,
        "COVER": 8,
    }
    assert read(write(tmp_path / "good.fits", **changes)).problem == ""
    path = overwrite_card(write(tmp_path / "a.fits", **changes), "COVER", b"                 3,2")
    assert "COVER" in read(path).problem


@settings(deadline=None, derandomize=True, database=None, max_examples=120)
@given(st.lists(st.tuples(st.integers(0, 20 * 80 - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes_in_a_header_never_stop_the_night(good_frame, damage):
    content = bytearray(good_frame.read_bytes())
    for at, byte in damage:
        content[at] = byte
    bad = good_frame.with_name("bad.fits")
    bad.write_bytes(content)
    assert "\n" not in read(bad).problem


def test_every_fits_file_is_found_once_sorted_and_named_by_its_path(tmp_path):
    for name in ("b.fits", "a.fit", "flats/V/f1.FITS", "flats/V/f2.fts", "z.fits.gz"):
        write(tmp_path / name)
    for name in ("notes.txt", "a.jpg", "fits", "b.fits.bak", "c.fits.txt"):
        (tmp_path / name).write_text("x")
    frames = scan(tmp_path, CAMERAS)
    assert [frame.name for frame in frames] == sorted(
        ["b.fits", "a.fit", "flats/V/f1.FITS", "flats/V/f2.fts", "z.fits.gz"]
    )
    assert [frame.path for frame in frames] == [tmp_path / frame.name for frame in frames]
    assert not any(frame.problem for frame in frames)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.fits.bz2", "packed as .bz2"),
        ("a.FIT.XZ", "unpack it"),
        ("a.fits.fz.Z", "unpack it"),
        ("a.fts.zip", "unpack it"),
        ("IMG_0001.CR2", "convert it to FITS"),
        ("IMG_0001.nef", "convert it to FITS"),
        ("light.xisf", "XISF of PixInsight"),
        ("jupiter.ser", "convert it to FITS"),
        ("light.tif", "convert it to FITS"),
    ],
)
def test_a_file_that_is_not_opened_is_rejected_with_what_to_do(tmp_path, name, words):
    (tmp_path / name).write_bytes(b"x")
    (frame,) = scan(tmp_path, CAMERAS)
    assert frame.name == name
    assert words in frame.problem


def test_a_packed_or_converted_file_beside_its_fits_file_is_not_listed(tmp_path):
    for name in ("a.fits", "b.fits.gz", "night/d.fit"):
        write(tmp_path / name)
    for name in ("a.fits.bz2", "b.CR2", "night/D.xisf", "c.cr2", "preview.jpg", "night.log", "all.zip", "log.txt.bz2"):
        (tmp_path / name).write_bytes(b"x")
    frames = scan(tmp_path, CAMERAS)
    assert [frame.name for frame in frames] == ["a.fits", "b.fits.gz", "c.cr2", "night/d.fit"]


def test_a_renamed_copy_is_rejected_and_another_exposure_of_the_same_time_is_not(tmp_path):
    time = "2024-03-01T06:00:00.123"
    original = write(tmp_path / "first.fits", DATE_OBS=time)
    (tmp_path / "spare.fits").write_bytes(original.read_bytes())
    write(tmp_path / "second.fits", pixels() + np.uint16(1), DATE_OBS=time)
    problems = {frame.name: frame.problem for frame in scan(tmp_path, CAMERAS)}
    assert problems["first.fits"] == problems["second.fits"] == ""
    assert problems["spare.fits"] == "copy of first.fits: the same file under another name"


def test_hidden_files_and_folders_are_left_out(tmp_path):
    for name in ("a.fits", "._a.fits", ".b.fits", ".trash/c.fits", "night/.d.fits", "night/d.fits"):
        write(tmp_path / name)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in find_files(tmp_path)) == ["a.fits", "night/d.fits"]


def test_the_results_folder_is_left_out_even_through_a_link(tmp_path):
    for name in ("a.fits", "results/20240229/science/a.fits", "sub/results/b.fits"):
        write(tmp_path / "raw" / name)
    (tmp_path / "raw/again").symlink_to(tmp_path / "raw/results", target_is_directory=True)
    found = find_files(tmp_path / "raw", leave_out=[tmp_path / "raw/../raw/results"])
    assert sorted(path.relative_to(tmp_path / "raw").as_posix() for path in found) == ["a.fits", "sub/results/b.fits"]


def test_raw_frames_within_the_results_folder_are_found(tmp_path):
    write(tmp_path / "raw/a.fits")
    assert len(list(find_files(tmp_path / "raw", leave_out=[tmp_path]))) == 1


def test_links_are_followed_and_loops_end(tmp_path):
    write(tmp_path / "raw/sub/a.fits")
    write(tmp_path / "disk/b.fits")
    (tmp_path / "raw/disk").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "raw/sub/loop").symlink_to(tmp_path / "raw", target_is_directory=True)
    (tmp_path / "disk/self").symlink_to(tmp_path / "disk", target_is_directory=True)
    names = [path.name for path in find_files(tmp_path / "raw")]
    assert sorted(names) == ["a.fits", "b.fits"]


def test_file_names_of_any_bytes_are_read(tmp_path):
    for raw in (
        b"a b.fits",
        "\N{GREEK SMALL LETTER ALPHA}.fits".encode(),
        b"\xff.fits",
        b"new\nline.fits",
        b"$(x).fits",
    ):
        write(tmp_path / "t.fits").rename(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + raw)))
    frames = scan(tmp_path, CAMERAS)
    assert len({frame.name for frame in frames}) == 5
    assert not any(frame.problem for frame in frames)


@pytest.mark.parametrize(
    ("utc", "longitude", "night"),
    [
        ("2024-03-01T05:00:00", -111.6, "20240229"),  # Kitt Peak: 21:34 of 29 February
        ("2024-03-01T12:30:00", -111.6, "20240229"),  # the dawn of that night
        ("2024-03-01T10:00:00", 149.07, "20240301"),  # Siding Spring: 19:56 of 1 March
        ("2024-03-01T19:30:00", 149.07, "20240301"),  # the dawn of that night
        ("2019-09-23T21:45:11", -121.64, "20190923"),  # Lick: flats at 13:38
        ("2019-12-31T23:30:00", 11.57, "20191231"),  # Asiago: past midnight on New Year's Eve
        ("2024-01-01T11:00:00", 0.0, "20231231"),
        ("2024-01-01T13:00:00", 0.0, "20240101"),
        ("2024-03-01T05:00:00", 248.4, "20240229"),  # Kitt Peak, its longitude counted to the east all the way round
        ("2024-03-01T10:00:00", -210.93, "20240301"),
    ],
)
def test_a_night_is_named_by_the_date_of_its_evening(utc, longitude, night):
    assert find_night(Time(utc).mjd, longitude) == night


MANY = settings(deadline=None, derandomize=True, database=None, max_examples=200)
EVENINGS = st.dates(datetime(1970, 1, 2).date(), datetime(2080, 1, 1).date())
LONGITUDES = st.floats(-180, 180)


@MANY
@given(EVENINGS, LONGITUDES, st.floats(1e-6, 1 - 1e-6))
def test_a_night_lasts_from_local_noon_to_local_noon(evening, longitude, part):
    noon = datetime(evening.year, evening.month, evening.day, 12, tzinfo=UTC) - timedelta(hours=longitude / 15)
    moment = noon + timedelta(days=part)
    mjd = (moment - datetime(1858, 11, 17, tzinfo=UTC)) / timedelta(days=1)
    assert find_night(mjd, longitude) == evening.strftime("%Y%m%d")


@MANY
@given(st.floats(41000, 90000), st.floats(0, 179))
def test_a_longitude_west_is_the_same_counted_east(mjd, west):
    assert find_night(mjd, -west) == find_night(mjd, 360 - west)


# --- copies ----------------------------------------------------------------------------------------------------------


def problems(folder):
    return {frame.name: frame.problem for frame in scan(folder, CAMERAS)}


@pytest.mark.parametrize("other", ["b0.fits.fz", "b0.fits.gz", "b0.FIT", "copies/b0.fits"])
def test_a_second_file_of_the_same_exposure_is_rejected(tmp_path, other):
    write(tmp_path / "b0.fits")
    (write_compressed if other.endswith(".fz") else write)(tmp_path / other)
    write(tmp_path / "b1.fits")
    found = problems(tmp_path)
    assert len(found) == 3
    assert found.pop("b1.fits") == ""
    kept, copy = sorted(found, key=found.get)
    assert found[kept] == ""
    assert found[copy] == f"copy of {kept}: same name, type, time and exposure time"


def test_only_the_first_of_three_copies_is_used(tmp_path):
    for name in ("b0.fits", "b0.fits.gz", "again/b0.fits"):
        write(tmp_path / name)
    assert sorted(map(bool, problems(tmp_path).values())) == [False, True, True]


@pytest.mark.parametrize(
    "changes",
    [
        {"DATE_OBS": "2024-03-01T06:00:01"},
        {"EXPTIME": 11.0},
        {"IMAGETYP": "Bias Frame"},
        {"FILTER": "R"},
        {"INSTRUME": "the other camera"},
    ],
)
def test_another_exposure_of_the_same_name_is_not_a_copy(tmp_path, changes):
    write(tmp_path / "b0.fits")
    write(tmp_path / "next/b0.fits", **changes)
    assert not any(problems(tmp_path).values())


def test_a_complete_file_is_used_if_its_copy_is_truncated(tmp_path):
    path = write(tmp_path / "b0.fits")
    path.write_bytes(path.read_bytes()[:4000])
    write(tmp_path / "b0.fits.gz")
    found = problems(tmp_path)
    assert "truncated" in found["b0.fits"]
    assert found["b0.fits.gz"] == ""


@pytest.mark.parametrize("names", [("night.f001.fits", "night.f002.fits"), ("m67.filterV.fits", "m67.focus.fits")])
def test_names_that_differ_after_a_dot_are_not_copies(tmp_path, names):
    # Where DATE-OBS tells whole seconds or minutes, biases in a row share their time.
    for name in names:
        write(tmp_path / name, IMAGETYP="Bias Frame", EXPTIME=0.0)
    assert not any(problems(tmp_path).values())
