"""The page tells the truth about every raw frame, whatever the headers say."""

import csv
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from nightcal.planning.frames import Frame
from nightcal.planning.plan import COLUMNS, make_plan
from nightcal.report import Made, amend, read_products, read_table, report, write_table

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>\"&amp;</td>"


class Page(HTMLParser):
    """Tags with their attributes, and the cells of the tables, as a browser sees them."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.rows, self.words, self.cell = [], [], "", None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        self.words += data
        if self.cell:
            self.rows[-1][-1] += data


def row(file, role="reduced", product="", **more):
    return {**dict.fromkeys(COLUMNS, ""), "file": file, "night": "20240301", "role": role, "product": product, **more}


def made(path, **cards):
    return Made(path, fits.Header(cards))


def fate(rows):
    return {r["file"]: (r["role"], r["reason"]) for r in rows}


def test_the_words_of_a_header_stay_words_on_the_page():
    rows = [
        row(HOSTILE + ".fits", "set aside", reason=HOSTILE),
        row("s.fits", product="science/s.fits") | {"filter": "<i>&"},
        row("b.fits", "stacked", "masters/b.fits"),
    ]
    products = [
        made("science/s.fits", OBJECT="<b>M 67</b>", WARN001="<u>odd</u>", SKIPPED="<s>"),
        made("science/t.fits", EMPTY="<em>no"),
        made("masters/<h1>.fits", NCOMBINE=3, WARN001="<script>"),
    ]
    page = Page(report("<night>", rows, products))
    assert {tag for tag, _ in page.tags} <= {
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "p",
        "table",
        "tr",
        "th",
        "td",
    }
    assert not any(
        name.startswith("on") or name in ("src", "href") for _, attributes in page.tags for name in attributes
    )
    cells = [cell for cells in page.rows for cell in cells]
    assert cells.count(HOSTILE) == 1
    assert HOSTILE + ".fits" in cells
    assert {"<b>M 67</b>", "<i>&", "<u>odd</u>", "<s>", "<em>no", "<h1>", "<script>"} <= set(cells)
    assert "Night of <night>" in page.words


@MANY
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_any_file_name_and_reason_can_be_read_on_the_page(text):
    page = Page(report("20240301", [row(text, "set aside", reason=text)], []))
    assert [text, text] in page.rows


def test_the_page_counts_every_raw_frame():
    rows = [
        row("a.fits"),
        row("b.fits"),
        row("c.fits", "stacked"),
        row("d.fits", "set aside", reason="the file is empty"),
        row("e.fits", "unused"),
    ]
    page = Page(report("20240301", rows, []))
    assert "5 raw frames: 2 reduced, 1 set aside, 1 stacked, 1 unused." in page.words
    assert ["d.fits", "the file is empty"] in page.rows


def test_a_night_without_trouble_says_so():
    page = Page(report("20240301", [row("a.fits")], []))
    assert "Every raw frame was used." in page.words
    assert "No calibration frames." in page.words


def test_the_page_shows_what_the_products_say_of_themselves():
    products = [
        made(
            "masters/bias_x.fits",
            NCOMBINE=12,
            NUSEDAVG=11.94,
            NOISERAT=1.31,
            BIASLVL=1503.25,
            WARN001="bias frames scatter 1.31 times",
        ),
        made("science/m67.fits", OBJECT="M 67", NMASKED=17, SKIPPED="dark"),
    ]
    rows = [row("m67.fits", product="science/m67.fits") | {"filter": "V", "exposure": "30"}]
    page = Page(report("20240301", rows, products))
    assert ["bias_x", "12", "11.94", "1.310", "1503 e-", "bias frames scatter 1.31 times"] in page.rows
    assert ["m67.fits", "M 67", "V", "30", "17", "dark", ""] in page.rows


def test_what_was_measured_of_the_sky_stands_in_a_table_of_its_own():
    solved = {"SKYLEVEL": 812.34, "FWHM": 2.718, "NSOURCES": 431, "WCSSTAT": "solved: 99 stars", "ZP": 22.5017}
    products = [
        made("science/m67.fits", **solved, ZPERR=0.0042, MAGLIM5=19.876, ZPSTAT="60 stars, band r"),
        made("science/cloud.fits", NSOURCES=2, FWHM="n/a", WCSSTAT="not solved: only 2 sources, 6 are needed"),
        made("science/flash.fits", FWHM=3.0),
        made("science/torn.fits", **solved, EMPTY="its raw header said all this"),
    ]
    page = Page(report("20240301", [], products))
    assert page.rows[-2:] == [
        ["m67.fits", "812.3", "2.72", "431", "solved: 99 stars", "22.502 +- 0.004", "19.88", "60 stars, band r"],
        ["cloud.fits", "", "", "2", "not solved: only 2 sources, 6 are needed", "", "", ""],
    ]


def test_a_refused_science_frame_moves_to_those_set_aside():
    rows = [
        row("a.fits", product="science/a.fits", reason="bias: nearest"),
        row("b.fits", product="science/b.fits", reason="bias: nearest"),
    ]
    amended = amend(
        rows, [made("science/a.fits", EMPTY="the pixels cannot be read"), made("science/b.fits", OBJECT="M 67")]
    )
    assert fate(amended) == {
        "a.fits": ("set aside", "the pixels cannot be read"),
        "b.fits": ("reduced", "bias: nearest"),
    }


def test_a_frame_that_a_master_was_made_without_moves_to_those_set_aside():
    rows = [row(f"night/b{n}.fits", "stacked", "masters/bias.fits", reason="one of 3") for n in range(3)]
    master = made(
        "masters/bias.fits",
        REJ001="b1.fits",
        REJW001="the file is truncated",
        IMCMB001="b0.fits",
        IMCMB002="b2.fits",
    )
    assert fate(amend(rows, [master])) == {
        "night/b0.fits": ("stacked", "one of 3"),
        "night/b1.fits": ("set aside", "the file is truncated"),
        "night/b2.fits": ("stacked", "one of 3"),
    }


def test_of_two_frames_of_one_name_only_the_spoilt_one_is_set_aside():
    """The frame of that name that was stacked is in the master's header too."""
    rows = [
        row(f"{when}/b1.fits", "stacked", "masters/bias.fits", reason="one of 2") for when in ("evening", "morning")
    ]
    master = made("masters/bias.fits", REJ001="b1.fits", REJW001="the file is truncated", IMCMB001="b1.fits")
    assert sorted(role for role, _ in fate(amend(rows, [master])).values()) == ["set aside", "stacked"]


def test_a_frame_left_out_of_one_master_is_not_blamed_for_another():
    rows = [
        row("a/b1.fits", "stacked", "masters/one.fits", reason="x"),
        row("b/b1.fits", "stacked", "masters/two.fits", reason="x"),
    ]
    products = [made("masters/one.fits", REJ001="b1.fits", REJW001="spoilt"), made("masters/two.fits", NCOMBINE=3)]
    assert fate(amend(rows, products)) == {"a/b1.fits": ("set aside", "spoilt"), "b/b1.fits": ("stacked", "x")}


def test_a_master_that_could_not_be_made_is_told():
    page = Page(report("20240301", [], [made("masters/flat_x.fits", EMPTY="every flat is saturated", NCOMBINE=0)]))
    assert ["flat_x", "0", "", "", "", "every flat is saturated"] in page.rows


def test_names_that_no_card_can_hold_are_recognised_as_the_card_holds_them():
    name = "H\N{GREEK SMALL LETTER ALPHA} flat.fits"
    master = made("masters/flat.fits", REJ001="H\\u03b1 flat.fits", REJW001="saturated")
    assert fate(amend([row(name, "stacked", "masters/flat.fits")], [master])) == {name: ("set aside", "saturated")}


def test_what_was_set_aside_before_keeps_its_first_reason():
    rows = [row("a.fits", "set aside", "science/a.fits", reason="the file is empty")]
    assert amend(rows, [made("science/a.fits", EMPTY="something else")]) == rows


def test_amending_twice_changes_nothing_more():
    rows = [row("a.fits", product="science/a.fits"), row("b.fits", product="science/b.fits"), row("c.fits", "unused")]
    products = [made("science/a.fits", EMPTY="no"), made("science/b.fits")]
    once = amend(rows, products)
    assert amend(once, products) == once
    assert [r["file"] for r in once] == ["a.fits", "b.fits", "c.fits"]
    assert rows[0]["role"] == "reduced"


@settings(MANY, phases=[Phase.explicit, Phase.generate])
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, st.text("a\u03b1 ,;\"'\n\t=", max_size=3))), max_size=2))
def test_a_table_written_and_read_is_the_same(rows):
    assert read_table(write_table(rows)) == rows


def test_the_table_of_a_plan_reads_back():
    frames = [
        Frame(Path(name), name, camera="c", kind="science", mjd=60371.0, night="20240301")
        for name in ('a,"b".fits', "new\nline.fits")
    ]
    plan = make_plan(frames)
    rows = read_table(plan.table("20240301"))
    assert [r["file"] for r in rows] == ['a,"b".fits', r"new\nline.fits"]
    assert list(csv.DictReader(io.StringIO(write_table(rows), newline=""))) == rows


def test_products_are_read_once_each_and_those_not_made_are_passed_over(tmp_path):
    for name in ("masters/b.fits", "science/s.fits"):
        (tmp_path / name).parent.mkdir()
        fits.PrimaryHDU(np.zeros((2, 2)), fits.Header({"OBJECT": name})).writeto(tmp_path / name)
    rows = [
        row("1", "stacked", "masters/b.fits"),
        row("2", "stacked", "masters/b.fits"),
        row("3", product="science/s.fits"),
        row("4", product="science/gone.fits"),
        row("5", "unused"),
    ]
    products = read_products(tmp_path, rows)
    assert [(p.path, p.header["OBJECT"]) for p in products] == [
        ("masters/b.fits", "masters/b.fits"),
        ("science/s.fits", "science/s.fits"),
    ]


@pytest.mark.parametrize("level", [float("nan"), 0.0, 1e30])
def test_a_level_that_is_no_use_does_not_spoil_the_page(level):
    header = fits.Header({"NCOMBINE": 1})
    if np.isfinite(level):
        header["BIASLVL"] = level
    assert "bias" in Page(report("20240301", [], [Made("masters/bias.fits", header)])).rows[-1]


@pytest.mark.parametrize("spoilt", ["evening", "morning"])
def test_of_two_frames_of_one_name_the_one_of_that_time_is_set_aside(spoilt):
    times = {"evening": 60370.9, "morning": 60371.4}
    rows = [
        row(f"{when}/b1.fits", "stacked", "masters/bias.fits", reason="one of 2", mjd_mid=f"{mjd:.6f}")
        for when, mjd in times.items()
    ]
    cards = {"REJ001": "b1.fits", "REJW001": "no overscan", "REJM001": times[spoilt] + 1e-7}
    amended = fate(amend(rows, [made("masters/bias.fits", **cards)]))
    assert amended.pop(f"{spoilt}/b1.fits") == ("set aside", "no overscan")
    assert list(amended.values()) == [("stacked", "one of 2")]


def test_two_spoilt_frames_of_one_name_are_each_charged_with_their_own_reason():
    times = [60370.9, 60371.0, 60371.4]
    rows = [row(f"{n}/b.fits", "stacked", "masters/m.fits", mjd_mid=f"{mjd:.6f}") for n, mjd in enumerate(times)]
    cards = {"REJ001": "b.fits", "REJW001": "late", "REJM001": times[2]}
    cards |= {"REJ002": "b.fits", "REJW002": "middle", "REJM002": times[1]}
    assert fate(amend(rows, [made("masters/m.fits", **cards)])) == {
        "0/b.fits": ("stacked", ""),
        "1/b.fits": ("set aside", "middle"),
        "2/b.fits": ("set aside", "late"),
    }


def test_all_frames_of_a_master_that_could_not_be_made_are_set_aside():
    rows = [row(f"f{n}.fits", "stacked", "masters/flat.fits", reason="one of 3") for n in range(3)]
    rows += [row("b.fits", "stacked", "masters/bias.fits", reason="one of 1")]
    products = [made("masters/flat.fits", EMPTY="none of 3 frames can be used"), made("masters/bias.fits", NCOMBINE=1)]
    assert fate(amend(rows, products)) == {
        **{f"f{n}.fits": ("set aside", "none of 3 frames can be used") for n in range(3)},
        "b.fits": ("stacked", "one of 1"),
    }


def test_when_the_trouble_is_gone_the_plan_is_as_it_was_planned():
    frames = [
        Frame(Path(f"{k}{n}.fits"), f"{k}{n}.fits", camera="c", kind=k, mjd=60371.0 + n / 99, night="20240301")
        for k in ("bias", "science")
        for n in range(3)
    ]
    planned = read_table(make_plan(frames).table("20240301"))
    bias = next(r["product"] for r in planned if r["file"] == "bias0.fits")
    science = next(r["product"] for r in planned if r["file"] == "science1.fits")
    trouble = [made(bias, REJ001="bias1.fits", REJW001="torn"), made(science, EMPTY="torn")]
    assert {r["file"] for r in amend(planned, trouble) if r["role"] == "set aside"} == {"bias1.fits", "science1.fits"}
    assert amend(planned, [made(bias, NCOMBINE=3), made(science, OBJECT="M 67")]) == planned
