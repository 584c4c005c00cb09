"""Sections mean what FITS and IRAF say: 1-based, inclusive, x first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nightcal.io.sections import Area, parse_section

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=300)
PIXEL = st.integers(1, 9000)
SPACE = st.sampled_from(["", " ", "   "])


@MANY
@given(PIXEL, PIXEL, PIXEL, PIXEL)
def test_a_section_written_and_read_is_the_same(x1, x2, y1, y2):
    text = f"[{x1}:{x2},{y1}:{y2}]"
    assert str(parse_section(text)) == text
    assert parse_section(str(parse_section(text))) == parse_section(text)


@MANY
@given(PIXEL, PIXEL, PIXEL, PIXEL)
def test_python_and_fits_count_the_same_pixels(x1, x2, y1, y2):
    area = parse_section(f"[{x1}:{x2},{y1}:{y2}]")
    columns = range(min(x1, x2), max(x1, x2) + 1)  # as FITS counts them, from 1
    rows = range(min(y1, y2), max(y1, y2) + 1)
    assert [area.xmin + 1, area.xmax] == [columns[0], columns[-1]]
    assert [area.ymin + 1, area.ymax] == [rows[0], rows[-1]]
    assert area.shape == (len(rows), len(columns))
    assert (area.flip_x, area.flip_y) == (x2 < x1, y2 < y1)


def test_x_comes_first_and_counts_columns():
    image = np.arange(6 * 10).reshape(6, 10)
    area = parse_section("[9:10,1:6]")
    assert image[area.slices].shape == (6, 2)
    np.testing.assert_array_equal(image[area.slices], image[:, 8:])


def test_the_last_pixel_is_included():
    assert parse_section("[1:1024,1:1024]") == Area(0, 1024, 0, 1024)
    assert parse_section("[5:5,7:7]").shape == (1, 1)


@pytest.mark.parametrize(
    ("text", "flips"),
    [
        ("[1:9,1:5]", (False, False)),
        ("[9:1,1:5]", (True, False)),
        ("[1:9,5:1]", (False, True)),
        ("[9:1,5:1]", (True, True)),
    ],
)
def test_a_descending_range_flips_the_same_pixels(text, flips):
    area = parse_section(text)
    assert (area.flip_x, area.flip_y) == flips
    assert area.slices == parse_section("[1:9,1:5]").slices
    assert str(area) == text


def test_saao_writes_spaces():
    assert parse_section("[   4:  13,   1: 520]") == Area(3, 13, 0, 520)
    assert parse_section(" [ 17 : 528 , 1 : 520 ] ") == Area(16, 528, 0, 520)


@MANY
@given(st.lists(SPACE, min_size=10, max_size=10), PIXEL, PIXEL, PIXEL, PIXEL)
def test_spaces_between_the_parts_are_ignored(spaces, x1, x2, y1, y2):
    parts = ["[", str(x1), ":", str(x2), ",", str(y1), ":", str(y2), "]"]
    text = spaces[0] + "".join(part + space for part, space in zip(parts, spaces[1:], strict=True))
    assert parse_section(text) == parse_section("".join(parts))


def test_a_space_within_a_number_does_not_make_a_larger_number():
    with pytest.raises(ValueError, match=r"section|pixel number"):
        parse_section("[1 0:20,1:5]")


@pytest.mark.parametrize("text", [None, "   ", " Unknown ", "N/A", "NONE"])
def test_placeholders_mean_no_section(text):
    assert parse_section(text) is None


def test_nickel_overscan_follows_from_the_cards():
    # 1056 columns as read out, the last 32 are overscan: columns 1025 to 1056 counted from 1
    cards = {"NAXIS1": 1056, "NAXIS2": 1024, "COVER": 32, "ROVER": 0}
    assert parse_section("[NAXIS1-COVER+1:NAXIS1,1:NAXIS2-ROVER]", cards.get) == Area(1024, 1056, 0, 1024)
    assert parse_section("[1:NAXIS1-COVER,1:NAXIS2-ROVER]", cards.get) == Area(0, 1024, 0, 1024)


@MANY
@given(st.lists(st.tuples(st.sampled_from("+-"), st.one_of(st.integers(0, 999), st.sampled_from("ABC"))), max_size=6))
def test_sums_of_numbers_and_cards_are_sums(terms):
    cards = {"A": 11, "B": -7, "C": 400}
    value = 5000 + sum((1 if sign == "+" else -1) * (cards[v] if isinstance(v, str) else v) for sign, v in terms)
    text = "5000" + "".join(f"{sign}{v}" for sign, v in terms)
    area = parse_section(f"[{text}:9000,1:2]", cards.get)
    assert min(value, 9000) == area.xmin + 1
    assert max(value, 9000) == area.xmax


@pytest.mark.parametrize("value", [None, 32.0, "32", True, 1 + 2j])
def test_a_keyword_that_is_not_an_integer_is_rejected(value):
    with pytest.raises(ValueError, match="COVER"):
        parse_section("[1:COVER,1:5]", {"COVER": value}.get)


def test_a_missing_keyword_is_named():
    with pytest.raises(ValueError, match="ROVER is None; expected a keyword with an integer value"):
        parse_section("[1:5,1:ROVER]", {"COVER": 3}.get)


@pytest.mark.parametrize(
    "text",
    [
        "[1:5,1:5",
        "[1:5]",
        "[1:5;1:5]",
        "[*,*]",
        "[a:b,c:d]",
        "[1.0:5.0,1:5]",
        "[1:5,1:5][1:5,1:5]",
        "[1:5:2,1:5]",
        "[1:--5,1:5]",
        "[1:5*2,1:5]",
        "[1:(5),1:5]",
        "[1:0x10,1:5]",
        "[1:NAXIS1 NAXIS2,1:5]",
        "nonsense",
        5,
        True,
    ],
)
def test_nonsense_is_rejected(text):
    with pytest.raises(ValueError, match=r"section|pixel number|integer value"):
        parse_section(text, {"NAXIS1": 10, "NAXIS2": 10}.get)


@pytest.mark.parametrize("text", ["[0:5,1:5]", "[1:5,0:5]", "[1:COVER-40,1:5]"])
def test_pixels_are_counted_from_one(text):
    with pytest.raises(ValueError, match="starts below pixel 1"):
        parse_section(text, {"COVER": 32}.get)


@pytest.mark.parametrize(
    "code", ["__import__('os').system('touch {0}')", "open('{0}','w')", "exec(A)", "A()", "A.B", "`touch {0}`"]
)
def test_nothing_in_a_section_is_ever_run(code, tmp_path):
    trace = tmp_path / "trace"

    def bomb(*_args):
        trace.touch()
        return 1

    with pytest.raises(ValueError, match=r"section|pixel number|integer value"):
        parse_section(f"[1:{code.format(trace)},1:5]", {"A": bomb}.get)
    assert not trace.exists()


@MANY
@given(st.text(alphabet="[]:,0123456789+-*/.() ABCNXIS_'x", max_size=25))
def test_any_text_is_a_section_or_none_or_rejected(text):
    try:
        area = parse_section(text, {"A": 3, "NAXIS1": 100}.get)
    except ValueError:
        return
    if area is not None:
        assert 0 <= area.xmin < area.xmax
        assert 0 <= area.ymin < area.ymax


@MANY
@given(st.integers(-3, 12), st.integers(-3, 12), st.integers(-3, 12), st.integers(-3, 12))
def test_an_area_fits_when_every_pixel_of_it_is_in_the_image(xmin, xmax, ymin, ymax):
    image = {(y, x) for y in range(6) for x in range(8)}
    pixels = {(y, x) for y in range(ymin, ymax) for x in range(xmin, xmax)}
    assert Area(xmin, xmax, ymin, ymax).fits_in((6, 8)) == (bool(pixels) and pixels <= image)
