"""The report lists every raw frame and product, whatever their headers contain."""

import csv
import io
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from nightcal.io.verdict import Outcome, Verdict
from nightcal.planning.frames import Frame
from nightcal.planning.naming import make_printable
from nightcal.planning.plan import COLUMNS, make_plan
from nightcal.planning.summary import NightSummary, Undone
from nightcal.report import amend, make_report, read_products, read_table, write_table
from nightcal.report.page import SCIENCE_COLUMNS
from nightcal.science.crosscheck import CrossCheck
from nightcal.science.frame_quality import FrameQuality

MANY = settings(deadline=None, derandomize=True, database=None, max_examples=100)
OURS = {"b"}  # names of lanes and of warnings
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


def product(path, **cards):
    """Make a product: its path, and its header."""
    return path, fits.Header(cards)


def mark(rows, products):
    return amend(rows, dict(products))


def summary(undone=(), night="20240301", **having):
    """Summary of a night with 81 science frames."""
    return NightSummary(
        night, 100, 81, 0, dict.fromkeys(("bias", "dark", "flat", "bpm"), 81) | having, 0, tuple(undone)
    )


def show_page(rows, products, *undone, **more):
    return Page(make_report(summary(undone, **more), rows, dict(products)))


def fate(rows):
    return {r["file"]: (r["role"], r["reason"]) for r in rows}


def test_header_text_is_escaped():
    rows = [
        row(HOSTILE + ".fits", "rejected", reason=HOSTILE),
        row("s.fits", product="science/s.fits") | {"filter": "<i>&"},
        row("b.fits", "stacked", "masters/b.fits"),
    ]
    products = [
        product("science/s.fits", OBJECT="<b>M 67</b>", WARN001="<u>odd</u>", SKIPPED="<s>"),
        product("science/t.fits", EMPTY="<em>no"),
        product("masters/<h1>.fits", NCOMBINE=3, WARN001="<script>"),
    ]
    undone = Undone("flat", "science", HOSTILE, (HOSTILE,), remedy="check")
    page = show_page(rows, products, undone, night="<night>")
    harmless = show_page([row("a.fits")], {})
    assert Counter(tag for tag, _ in page.tags)["script"] == Counter(tag for tag, _ in harmless.tags)["script"] == 1
    assert not {"img", "b", "u", "em", "s"} & ({tag for tag, _ in page.tags} - {tag for tag, _ in harmless.tags} - OURS)
    attributes = [item for _, found in page.tags for item in found.items()]
    assert not any(name.startswith("on") or name == "src" for name, _ in attributes)
    assert all(re.fullmatch(r"#f\d+", value) for name, value in attributes if name == "href")
    cells = [cell for cells in page.rows for cell in cells]
    assert cells.count(HOSTILE) == 1
    assert HOSTILE in page.words
    assert HOSTILE + ".fits" in cells
    assert {"<b>M 67</b>", "<i>&", "<u>odd</u>", "<s>", "<em>no", "<h1>", "<script>"} <= set(cells)
    assert "Night of <night>" in page.words


def test_a_header_cannot_turn_the_direction_of_text_or_hold_control_characters():
    products = [product("science/s.fits", OBJECT="M 67")]
    rows = [row("s\u202egpj.fits", "rejected", reason="a\x1b[31mb\u2066c")]
    text = make_report(summary(), rows, dict(products))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", text)
    assert "s\\u202egpj.fits" in text


@MANY
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30))
def test_any_file_name_and_reason_can_be_read(text):
    page = show_page([row(text, "rejected", reason=text)], [])
    shown = make_printable(text)
    assert [shown, "", "rejected", shown] in page.rows


def test_the_page_counts_every_raw_frame():
    rows = [
        row("a.fits"),
        row("b.fits"),
        row("c.fits", "stacked"),
        row("d.fits", "rejected", reason="the file is empty"),
        row("e.fits", "unused"),
    ]
    page = show_page(rows, [])
    assert "2 reduced, 1 rejected, 1 stacked, 1 unused" in page.words
    assert ["d.fits", "", "rejected", "the file is empty"] in page.rows


def test_a_night_without_failures_says_so():
    page = show_page([row("a.fits")], [])
    assert "All 81 science frames have bias, dark and flat." in page.words
    assert "No raw frame was rejected or left unused." in page.words
    assert "No calibration frames." in page.words
    assert "GOOD." in page.words


def test_what_was_not_done_is_on_top_with_what_helps():
    readmode = Undone("flat", "science", "5 flats in z differ in READMODE", tuple("abc"), remedy="check")
    text = make_report(summary([readmode], flat=78), [], {}, raw="my raw")
    words = Page(text).words
    assert "81 science frames: 81 with bias, 81 with dark, 78 with flat" in words
    assert "3 science frames without flat: 5 flats in z differ in READMODE (first: a)." in words
    assert "python -m nightcal.check_camera config/cameras/generic.yaml 'my raw/a'" in words
    assert text.index("LOOK, with 1 thing to do.") < text.index("Rejected and unused")


def test_products_are_listed_with_their_numbers_and_warnings():
    products = [
        product(
            "masters/bias_x.fits",
            NCOMBINE=12,
            NUSEDAVG=11.94,
            NOISERAT=1.31,
            BIASLVL=1503.25,
            WARN001="bias frames scatter 1.31 times",
        ),
        product("science/m67.fits", OBJECT="M 67", NMASKED=17, SKIPPED="dark", FLATGRAD="usable"),
    ]
    rows = [row("m67.fits", product="science/m67.fits") | {"filter": "V", "exposure": "30"}]
    verdicts = [Verdict("bias_x", "20240301", "bias", Outcome.DOUBTFUL, "rises by 3 e-")]
    page = Page(make_report(summary(), rows, dict(products), verdicts=verdicts))
    assert "bias_x: doubtful, rises by 3 e-" in page.words
    assert ["bias_x", "doubtful", "12", "11.94", "1.310", "1503 e-", "bias frames scatter 1.31 times"] in page.rows
    (science,) = read_science(page).values()
    assert (science["frame"], science["object"], science["filter"], science["exposure [s]"]) == (
        "m67",
        "M 67",
        "V",
        "30",
    )
    assert (science["skipped"], science["ages"], science["warnings"]) == ("dark", "flat usable", "")


def show_science(products, **more):
    """Rows of the table of science frames, by frame."""
    return read_science(Page(make_report(summary(()), [], dict(products), **more)))


def read_science(page):
    """Rows of the table of science frames, by frame; columns that would be empty are not on the page."""
    start = next(n for n, cells in enumerate(page.rows) if "frame" in cells and "reason" not in cells)
    head = page.rows[start]
    cells = [cells for cells in page.rows[start + 1 :] if len(cells) == len(head)]
    found = [dict.fromkeys(SCIENCE_COLUMNS, "") | dict(zip(head, row, strict=True)) for row in cells]
    return {science["frame"]: science for science in found}


def test_measurements_of_the_sky_are_in_the_table_of_science_frames():
    solved = {"SKYLEVEL": 812.34, "FWHM": 2.718, "NSOURCES": 431, "WCSSTAT": "solved: 99 stars", "ZP": 22.5017}
    products = [
        product("science/m67.fits", **solved, ZPERR=0.0042, MAGLIM5=19.876, ZPSTAT="60 stars, band r", SEEING=1.9),
        product("science/cloud.fits", NSOURCES=2, FWHM="n/a", WCSSTAT="not solved: only 2 sources"),
        product("science/flash.fits", FWHM=3.0),
        product("science/torn.fits", **solved, EMPTY="its raw header said all this"),
    ]
    found = show_science(products, grades={"science/cloud.fits": FrameQuality("poor", "FWHM <unknown>")})
    m67, cloud = found["m67"], found["cloud"]
    assert (m67["sky [e-]"], m67["FWHM [pix]"], m67["seeing [arcsec]"], m67["sources"]) == (
        "812.3",
        "2.72",
        "1.90",
        "431",
    )
    assert (m67["zero point [mag]"], m67["5 sigma limit [mag]"]) == ("22.502 +- 0.004", "19.88")
    assert (m67["astrometry"], m67["zero point status"]) == ("solved: 99 stars", "60 stars, band r")
    assert (cloud["quality"], cloud["FWHM [pix]"], cloud["sources"]) == ("poor: FWHM <unknown>", "", "2")
    assert found["flash"]["FWHM [pix]"] == ""
    assert (found["torn"]["sky [e-]"], found["torn"]["warnings"]) == ("", "its raw header said all this")


def make_night(number, **odd):
    """Rows and products of science frames that differ in time and seeing only."""
    rows = [
        row(f"s{n}.fits", product=f"science/s{n}.fits", type="science", filter="V", mjd_mid=f"{60371 + n / 100}")
        for n in range(number)
    ]
    cards = {"NSOURCES": 100, "SKYLEVEL": 50.0, "EXPTIME": 10.0}
    seeing = {f"s{n}": 2.0 + 0.01 * (n % 3) for n in range(number)} | odd
    return rows, [product(f"science/{name}.fits", **cards, SEEING=value, FWHM=value) for name, value in seeing.items()]


def test_a_frame_that_departs_from_the_others_is_ringed_and_leads_to_its_row():
    rows, products = make_night(9, s4=4.0)
    text = make_report(summary(), rows, dict(products))
    assert "seeing [arcsec]: median 2.01, 2.00 to 4.00, 1 outlier ringed" in text
    (ringed,) = re.findall(r'<a href="(#f\d+)"><g [^>]*><title>(s\d): [^<]*</title><circle', text)
    assert ringed == ("#f4", "s4")
    assert '<tr id="f4">' in text


def test_no_frame_is_ringed_if_all_are_alike():
    rows, products = make_night(9)
    assert "<circle" not in make_report(summary(), rows, dict(products))


def test_each_frame_has_a_tick_and_a_science_frame_knows_its_masters():
    rows, products = make_night(2)
    rows[0]["flat"] = "flat_V"
    flats = [
        row(f"f{n}.fits", "stacked", "masters/flat_V.fits", type="flat", filter="V", mjd_mid="60370.9") for n in "12"
    ]
    lost = row("x.fits", "rejected", reason="no image", type="flat", filter="V", mjd_mid="60370.95")
    page = show_page([*rows, *flats, lost], products)
    ticks = [attributes for tag, attributes in page.tags if tag in ("i", "a") and attributes.get("class") in ("t", "x")]
    assert len(ticks) == 5
    (user,) = [tick for tick in ticks if "data-u" in tick]
    assert user["title"].startswith("s0.fits, 00:00 UT")
    assert sum(tick.get("data-g") == user["data-u"] for tick in ticks) == 2
    (cross,) = [tick for tick in ticks if tick["class"] == "x"]
    assert cross["title"] == "x.fits, 22:48 UT, rejected: no image"


def test_each_kind_of_warning_stands_once_with_what_to_do():
    products = [product(f"science/s{n}.fits", WARN001=f"risky age: flat {20 + n} days old") for n in range(3)]
    page = show_page([], products)
    assert page.words.count("risky age, 3 products") == 1
    assert "What to do:" in page.words
    assert "s0, s1, s2" in page.words


def test_columns_sort_by_numbers_and_headings_are_buttons():
    rows, products = make_night(2)
    text = make_report(summary(), rows, dict(products))
    assert '<td class="n" data-v="2.01">2.01</td>' in text
    assert '<th scope="col"><button type="button">seeing [arcsec]</button></th>' in text


def test_the_page_asks_for_nothing_else_and_is_the_same_every_time():
    rows, products = make_night(5)
    text = make_report(summary(), rows, dict(products))
    assert text == make_report(summary(), rows, dict(products))
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)


def test_pictures_are_in_the_page_and_lead_to_the_rows():
    rows, products = make_night(2)
    pictures = {"science/s1.fits": b"jpeg", "masters/flat.fits": b"other"}
    products.append(product("masters/flat.fits", NCOMBINE=3))
    page = Page(make_report(summary(), rows, dict(products), pictures=pictures))
    sources = {found["alt"]: found["src"] for tag, found in page.tags if tag == "img"}
    assert sources == {"flat": "data:image/jpeg;base64,b3RoZXI=", "s1 V": "data:image/jpeg;base64,anBlZw=="}
    assert {"href": "#f1"} in [found for tag, found in page.tags if tag == "a"]


def test_a_night_where_nothing_could_be_reduced_has_a_page_that_says_so():
    rows = [row("a.fits", "rejected", reason="no image")]
    lost = NightSummary("20240301", 1, 0, 0, dict.fromkeys(("bias", "dark", "flat", "bpm"), 0), 0,
                        (Undone("rejected", "", "no image", ("a.fits",)),))  # fmt: skip
    page = Page(make_report(lost, rows, {}))
    assert "BAD" in page.words
    assert "Every raw frame was rejected." in page.words


def test_an_empty_science_product_rejects_its_frame():
    rows = [
        row("a.fits", product="science/a.fits", reason="bias: nearest"),
        row("b.fits", product="science/b.fits", reason="bias: nearest"),
    ]
    amended = mark(
        rows, [product("science/a.fits", EMPTY="the pixels cannot be read"), product("science/b.fits", OBJECT="M 67")]
    )
    assert fate(amended) == {
        "a.fits": ("rejected", "the pixels cannot be read"),
        "b.fits": ("reduced", "bias: nearest"),
    }


def test_a_frame_rejected_from_its_master_is_rejected_in_the_plan():
    rows = [row(f"night/b{n}.fits", "stacked", "masters/bias.fits", reason="one of 3") for n in range(3)]
    master = product(
        "masters/bias.fits",
        REJ001="b1.fits",
        REJW001="the file is truncated",
        IMCMB001="b0.fits",
        IMCMB002="b2.fits",
    )
    assert fate(mark(rows, [master])) == {
        "night/b0.fits": ("stacked", "one of 3"),
        "night/b1.fits": ("rejected", "the file is truncated"),
        "night/b2.fits": ("stacked", "one of 3"),
    }


def test_of_two_frames_of_the_same_name_only_the_damaged_one_is_rejected():
    """The stacked frame of that name is in the header of the master, too."""
    rows = [
        row(f"{when}/b1.fits", "stacked", "masters/bias.fits", reason="one of 2") for when in ("evening", "morning")
    ]
    master = product("masters/bias.fits", REJ001="b1.fits", REJW001="the file is truncated", IMCMB001="b1.fits")
    assert sorted(role for role, _ in fate(mark(rows, [master])).values()) == ["rejected", "stacked"]


def test_a_frame_rejected_from_a_master_does_not_affect_its_namesake_in_another():
    rows = [
        row("a/b1.fits", "stacked", "masters/one.fits", reason="x"),
        row("b/b1.fits", "stacked", "masters/two.fits", reason="x"),
    ]
    products = [
        product("masters/one.fits", REJ001="b1.fits", REJW001="damaged"),
        product("masters/two.fits", NCOMBINE=3),
    ]
    assert fate(mark(rows, products)) == {"a/b1.fits": ("rejected", "damaged"), "b/b1.fits": ("stacked", "x")}


def test_an_empty_master_is_listed_with_its_reason():
    page = show_page([], [product("masters/flat_x.fits", EMPTY="every flat is saturated", NCOMBINE=0)])
    assert ["flat_x", "", "0", "", "", "", "every flat is saturated"] in page.rows


def test_file_names_that_a_header_cannot_hold_are_recognised():
    name = "H\N{GREEK SMALL LETTER ALPHA} flat.fits"
    master = product("masters/flat.fits", REJ001="H\\u03b1 flat.fits", REJW001="saturated")
    assert fate(mark([row(name, "stacked", "masters/flat.fits")], [master])) == {name: ("rejected", "saturated")}


def test_a_frame_rejected_by_the_plan_keeps_its_reason():
    rows = [row("a.fits", "rejected", "science/a.fits", reason="the file is empty")]
    assert mark(rows, [product("science/a.fits", EMPTY="something else")]) == rows


def test_marking_twice_changes_nothing():
    rows = [row("a.fits", product="science/a.fits"), row("b.fits", product="science/b.fits"), row("c.fits", "unused")]
    products = [product("science/a.fits", EMPTY="no"), product("science/b.fits")]
    once = mark(rows, products)
    assert mark(once, products) == once
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


def test_each_product_is_read_once_and_missing_ones_are_skipped(tmp_path):
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
    assert [(path, header["OBJECT"]) for path, header in products.items()] == [
        ("masters/b.fits", "masters/b.fits"),
        ("science/s.fits", "science/s.fits"),
    ]


@pytest.mark.parametrize("level", [float("nan"), 0.0, 1e30])
def test_an_odd_level_does_not_break_the_page(level):
    header = fits.Header({"NCOMBINE": 1})
    if np.isfinite(level):
        header["BIASLVL"] = level
    assert any("bias" in cells for cells in show_page([], [("masters/bias.fits", header)]).rows)


@pytest.mark.parametrize("damaged", ["evening", "morning"])
def test_of_two_frames_of_the_same_name_the_one_of_that_time_is_rejected(damaged):
    times = {"evening": 60370.9, "morning": 60371.4}
    rows = [
        row(f"{when}/b1.fits", "stacked", "masters/bias.fits", reason="one of 2", mjd_mid=f"{mjd:.6f}")
        for when, mjd in times.items()
    ]
    cards = {"REJ001": "b1.fits", "REJW001": "no overscan", "REJM001": times[damaged] + 1e-7}
    amended = fate(mark(rows, [product("masters/bias.fits", **cards)]))
    assert amended.pop(f"{damaged}/b1.fits") == ("rejected", "no overscan")
    assert list(amended.values()) == [("stacked", "one of 2")]


def test_two_damaged_frames_of_the_same_name_get_their_own_reasons():
    times = [60370.9, 60371.0, 60371.4]
    rows = [row(f"{n}/b.fits", "stacked", "masters/m.fits", mjd_mid=f"{mjd:.6f}") for n, mjd in enumerate(times)]
    cards = {"REJ001": "b.fits", "REJW001": "late", "REJM001": times[2]}
    cards |= {"REJ002": "b.fits", "REJW002": "middle", "REJM002": times[1]}
    assert fate(mark(rows, [product("masters/m.fits", **cards)])) == {
        "0/b.fits": ("stacked", ""),
        "1/b.fits": ("rejected", "middle"),
        "2/b.fits": ("rejected", "late"),
    }


def test_all_frames_of_an_empty_master_are_rejected():
    rows = [row(f"f{n}.fits", "stacked", "masters/flat.fits", reason="one of 3") for n in range(3)]
    rows += [row("b.fits", "stacked", "masters/bias.fits", reason="one of 1")]
    products = [
        product("masters/flat.fits", EMPTY="none of 3 frames can be used"),
        product("masters/bias.fits", NCOMBINE=1),
    ]
    assert fate(mark(rows, products)) == {
        **{f"f{n}.fits": ("rejected", "none of 3 frames can be used") for n in range(3)},
        "b.fits": ("stacked", "one of 1"),
    }


def test_without_failures_the_plan_is_unchanged():
    frames = [
        Frame(Path(f"{k}{n}.fits"), f"{k}{n}.fits", camera="c", kind=k, mjd=60371.0 + n / 99, night="20240301")
        for k in ("bias", "science")
        for n in range(3)
    ]
    planned = read_table(make_plan(frames).table("20240301"))
    bias = next(r["product"] for r in planned if r["file"] == "bias0.fits")
    science = next(r["product"] for r in planned if r["file"] == "science1.fits")
    trouble = [product(bias, REJ001="bias1.fits", REJW001="torn"), product(science, EMPTY="torn")]
    assert {r["file"] for r in mark(planned, trouble) if r["role"] == "rejected"} == {"bias1.fits", "science1.fits"}
    assert mark(planned, [product(bias, NCOMBINE=3), product(science, OBJECT="M 67")]) == planned


def test_the_comparison_with_ccdproc_is_on_the_page():
    checks = [
        CrossCheck("<b>.fits", median=2e-6, largest=0.043, above_limit=7),
        CrossCheck("c.fits", reason="every pixel of the product is flagged"),
    ]
    page = Page(make_report(summary(), [], {}, checks))
    for words in ("Compared with ccdproc", "<b>.fits", "2e-06", "0.043", "every pixel of the product is flagged"):
        assert words in page.words
    assert "Compared with ccdproc" not in Page(make_report(summary(), [], {})).words
    assert "not asked for: crosscheck=true" in Page(make_report(summary(), [], {})).words
