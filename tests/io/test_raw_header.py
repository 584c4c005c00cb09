"""Headers parsed by nightcal have the values that astropy reads, whatever the cards look like."""

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from helpers import REPOSITORY
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.errors import FrameRejectedError
from nightcal.io.raw_header import SUFFIXES, RawHeader, read_header, read_header_with_astropy, read_plain_header

DATA = Path(os.environ.get("NIGHTCAL_DATA", REPOSITORY.parent / "shared" / "data"))
REAL = sorted(path for path in DATA.rglob("*") if path.name.lower().endswith(SUFFIXES))
MANY = settings(deadline=None, derandomize=True, database=None, max_examples=300)
BLOCK = 2880


def outcome(function, *arguments):
    """Return the answer of a function with its type, or the reason of a rejection."""
    try:
        answer = function(*arguments)
    except FrameRejectedError as reason:
        return "rejected", str(reason)
    return type(answer), answer


def as_text(header):
    """Return the cards as written."""
    return [card._image or str(card) for card in header.cards]


def assert_alike(path):
    """Both ways of reading agree in everything that a caller can ask."""
    ours, theirs = outcome(read_header, path), outcome(read_header_with_astropy, path)
    if theirs[0] is not RawHeader:
        assert ours == theirs
        return
    ours, theirs = ours[1], theirs[1]
    assert (ours.hdu, ours.shape) == (theirs.hdu, theirs.shape)
    names = {card.keyword for card in theirs.cards.cards} - {"COMMENT", "HISTORY"} | {"ABSENT", "NAXIS3", "exptime"}
    for name in filter(re.compile("[A-Za-z0-9_.-]+").fullmatch, sorted(names)):
        assert outcome(ours.value, name) == outcome(theirs.value, name), name
    assert as_text(ours.cards) == as_text(theirs.cards)


@pytest.mark.skipif(not REAL, reason="no real frames here")
def test_real_headers_are_read_as_astropy_reads_them():
    for path in REAL:
        assert_alike(path)


@pytest.mark.skipif(not REAL, reason="no real frames here")
def test_most_real_frames_are_plain():
    plain = [path for path in REAL if path.suffix in (".fits", ".fit", ".fts") and read_plain_header(path)]
    assert len(plain) > len(REAL) / 2


def card(text):
    return text.encode("latin-1", "replace")[:80].ljust(80)


def write(path, cards, pixels=bytes(12), padding=True):
    """Write an image of 3 x 2 pixels with these cards after the mandatory ones."""
    first = ["SIMPLE  =                    T", "BITPIX  =                   16", "NAXIS   =                    2"]
    first += ["NAXIS1  =                    3", "NAXIS2  =                    2"]
    head = b"".join(map(card, [*first, *cards, "END"]))
    head += b" " * (-len(head) % BLOCK)
    path.write_bytes(head + pixels + (bytes(-len(pixels) % BLOCK) if padding else b""))
    return path


VALUES = [
    "'text'", "'  M 67   '", "''", "'   '", "'UNKNOWN'", "'n/a'", "'it''s'", "'a/b'", "'a' / 'b'", "'AXIS.1: 2'",
    "'a: 3.5'", "'12:30:00'", "'open", "'a'b", "'long string&'", "'x' y", "T", "F", "                   T / logical",
    "T/", "TF", "true", "1", "                   1", "-1", "+7", "007", "0", "-0", "1_000", "12 / twelve",
    "12/twelve", "1 2", "99999999999", "1.", ".5", "-1.5E-3", "1D5", "1.5d0", "1E5", "1e5", "+.5E+2", "1.5.2", "3,2",
    "00.50", "1 .5", "1E", "NaN", "Inf", "1e400", "", " / only a comment", "(1, 2)", "(1.0,2.5)", "0x10", "- 5",
    "\u00b2", "'\u00e9'", "'a\tb'",
]  # fmt: skip
KEYWORDS = ["EXPTIME", "OBJECT", "A", "KEY-WORD", "KEY_1", "DP1", "COMMENT", "HISTORY", "PCOUNT", "GCOUNT", "ENDED"]
ODD = [
    "CONTINUE  'more'", "CONTINUE= 'more'",
    "HIERARCH= 'more'", "HIERARCH ESO DET EXP = 5", "HIERARCH OBJECT = 5", "object  = 'low'", "NOVALUE",
    "OBJECT   'none'", "OBJECT= 'early'", "  OBJECT= 3", "TOOLONGNAME= 3", "COMMENT = 'a value'", "COMMENT text",
    "HISTORY a = b", "", "         = 3", "NIGHTCAL= '1.0'", "GROUPS  =  T", "XTENSION= 'IMAGE'", "END     = 3",
    "END x", "OBJECT  =3", "BITPIX  = 8", "NAXIS1  = 9", "A B     = 3", "OBJ\u00c9CT = 3",
]  # fmt: skip


def test_each_value_is_read_as_astropy_reads_it(tmp_path):
    for value in VALUES:
        assert_alike(write(tmp_path / "a.fits", [f"OBJECT  = {value}", "OBJECT  = 'second'"]))


def test_each_odd_card_is_read_as_astropy_reads_it(tmp_path):
    for odd in ODD:
        assert_alike(write(tmp_path / "a.fits", ["OBJECT  = 'M 67&'", odd, "OBJECT  = 'second'"]))


def test_the_word_end_in_a_comment_is_not_the_end(tmp_path):
    path = write(tmp_path / "a.fits", [f"COMMENT {'the END':>40}", "", "OBJECT  = 'M 67'"])
    assert_alike(path)
    assert read_plain_header(path).value("OBJECT") == "M 67"


CARD = st.builds("{:8}= {}".format, st.sampled_from(KEYWORDS), st.sampled_from(VALUES) | st.text(max_size=71))


@MANY
@given(st.lists(CARD | st.sampled_from(ODD) | st.text(max_size=80), max_size=60))
def test_any_cards_are_read_as_astropy_reads_them(tmp_path_factory, cards):
    assert_alike(write(tmp_path_factory.getbasetemp() / "any.fits", cards))


@pytest.mark.parametrize(
    "first",
    [
        "SIMPLE  =                    F",
        "BITPIX  =                   12",
        "BITPIX  =                 16.0",
        "NAXIS   =                    T",
        "NAXIS1  =                   -3",
        "NAXIS1  =                    0",
        "NAXIS1  =                    T",
        "NAXIS1  =                  '3'",
        "NAXIS2  =                  3,2",
        "NAXIS2  =         999999999999",
    ],
)
def test_an_odd_beginning_is_read_as_astropy_reads_it(first, tmp_path):
    path = write(tmp_path / "a.fits", ["OBJECT  = 'M 67'"])
    content = path.read_bytes()
    at = content.index(first[:8].encode())
    path.write_bytes(content[:at] + card(first) + content[at + 80 :])
    assert_alike(path)


@pytest.mark.parametrize("length", [0, 1, 80, 480, 2879, 2880, 2891, 2892, 2893, 5760, 5761, 8640])
def test_a_file_cut_to_any_length_is_read_as_astropy_reads_it(length, tmp_path):
    path = write(tmp_path / "a.fits", ["OBJECT  = 'M 67'"])
    path.write_bytes(path.read_bytes().ljust(length, b" ")[:length])
    assert_alike(path)


@pytest.mark.parametrize("number", [30, 31, 3000])
def test_headers_of_any_length_are_read(number, tmp_path):
    path = write(tmp_path / "a.fits", [f"K{n:<7}= {n}" for n in range(number)])
    assert_alike(path)
    assert read_header(path).value(f"K{number - 1}") == number - 1


def test_a_second_image_is_not_overlooked(tmp_path):
    path = tmp_path / "two.fits"
    image = np.zeros((2, 3), np.int16)
    fits.HDUList([fits.PrimaryHDU(image), fits.ImageHDU(image)]).writeto(path)
    assert [plane.hdu for plane in read_header(path).planes] == [0, 1]


def test_a_plain_frame_is_read_without_astropy(tmp_path):
    path = write(tmp_path / "a.fits", ["OBJECT  = 'M 67'"])
    words = "import sys, pathlib; from nightcal.io.raw_header import read_header;"
    words += "h = read_header(pathlib.Path(sys.argv[1]));"
    words += "print(h.value('OBJECT'), h.value('NONE'), h.shape, 'astropy' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")}
    done = subprocess.run([sys.executable, "-c", words, path], capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == "M 67 None (2, 3) False", done.stderr


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz"])
def test_texts_that_differ_only_in_letters_beyond_ascii_stay_different(tmp_path, suffix):
    found = set()
    for n, text in enumerate([b"H\xce\xb1", b"H\xce\xb2", b"H\xe9", b"H??"]):
        path = tmp_path / f"{n}.fits"
        fits.PrimaryHDU(np.zeros((4, 5), np.uint16), fits.Header({"FILTER": "12345678"})).writeto(path)
        content = path.read_bytes().replace(b"'12345678'", b"'" + text.ljust(8) + b"'")
        path = tmp_path / f"{n}{suffix}"
        path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
        found.add(read_header(path).value("FILTER"))
    assert found == {"H\\u03b1", "H\\u03b2", "H\\xe9", "H??"}


def test_values_and_comments_are_the_same_from_text_and_from_astropy():
    cards = fits.Header([("EXPTIME", 10.0, "asked"), ("FILTER", "V/R", "o'clock"), ("DATE", "a", "")])
    cards.append(("EXPTIME", 60.0, "actual"), end=True)
    for header in (RawHeader(cards, 0, (4, 4)), RawHeader(cards.tostring(endcard=False, padding=False), 0, (4, 4))):
        assert header.values("EXPTIME") == (10.0, 60.0)
        assert header.values("MISSING") == ()
        assert header.repeated == {"EXPTIME"}
        assert [header.comment(name) for name in ("EXPTIME", "FILTER", "DATE", "MISSING")] == [
            "asked",
            "o'clock",
            "",
            "",
        ]
