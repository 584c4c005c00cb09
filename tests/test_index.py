"""The page of all nights: one row a night, whoever reduced it, and what changes from night to night."""

import subprocess
import sys
from dataclasses import replace

import pytest
from helpers import REPOSITORY
from nightcal.planning.summary import write_summary
from nightcal.report.index import make_index, read_nights
from test_report import HOSTILE, Page, summary

CALIBRATIONS = "kind,master,read_noise,gain\nbias,bias_a,{noise},\nflat,flat_V,,1.5\n"
FRAMES = "frame,filter,seeing,sky\na.fits,V,{seeing},10\nb.fits,V,{seeing},12\nc.fits,B,,\n"


def write_night(results, name, noise=5.0, seeing=2.0, **more):
    folder = results / name
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(write_summary(replace(summary(), **{"night": name} | more)))
    (folder / "calibrations.csv").write_text(CALIBRATIONS.format(noise=noise))
    (folder / "frames.csv").write_text(FRAMES.format(seeing=seeing))
    return folder


def show_nights(results):
    return Page(make_index(read_nights(results)))


def test_each_night_has_a_row_with_its_verdict_and_a_link(tmp_path):
    write_night(tmp_path, "20240301")
    write_night(tmp_path, "20240302", distrusted=("dark_30s is rejected: hot.",))
    page = show_nights(tmp_path)
    first, second = page.rows[1:3]
    assert first == ["20240301", "GOOD", "81", "81", "81", "81", "0", "2.00", ""]
    assert second == ["20240302", "LOOK", "81", "81", "81", "81", "0", "2.00", "dark_30s is rejected: hot."]
    assert "1 good, 1 to look at, 0 bad" in page.words
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a" and "report.html" in attributes["href"]]
    assert links[:2] == ["20240302/report.html", "20240301/report.html"]


def test_numbers_are_shown_over_the_nights_if_there_are_two(tmp_path):
    write_night(tmp_path, "20240301", noise=5.0, seeing=2.0)
    assert "read noise" not in show_nights(tmp_path).words
    write_night(tmp_path, "20240302", noise=7.0, seeing=3.0)
    words = show_nights(tmp_path).words
    assert "read noise [e-]: median 6.00, 5.00 to 7.00" in words
    assert "seeing [arcsec]: median 2.50, 2.00 to 3.00" in words
    assert "20240302, bias_a: 7.00" in words
    assert "dark current" not in words


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"night": 3}'])
def test_a_folder_whose_summary_cannot_be_read_is_left_out(tmp_path, text):
    write_night(tmp_path, "20240301")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "summary.json").write_text(text)
    assert [night.name for night in read_nights(tmp_path)] == ["20240301"]


def test_names_of_folders_and_filters_are_escaped(tmp_path):
    name = "<img src=x>'\""
    folder = write_night(tmp_path, name, night=HOSTILE)
    (folder / "frames.csv").write_text("frame,filter,seeing\na,<script>,2\n")
    page = show_nights(tmp_path)
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert name in page.words


def test_without_nights_the_page_says_so(tmp_path):
    assert "No night was reduced." in show_nights(tmp_path).words


def test_nights_that_end_at_once_are_all_on_the_page(tmp_path):
    command = [sys.executable, REPOSITORY / "scripts/make_index.py", tmp_path, "--out", tmp_path / "index.html"]
    running = []
    for n in range(1, 5):
        write_night(tmp_path, f"2024030{n}")
        running.append(subprocess.Popen(command))
    assert [one.wait(60) for one in running] == [0] * 4
    text = (tmp_path / "index.html").read_text()
    assert all(f"2024030{n}/report.html" in text for n in range(1, 5))
