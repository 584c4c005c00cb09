"""Files that do not belong to the night change nothing in it, nor do a relative path and the number of cores."""

import os

import pytest
from helpers import REPOSITORY

BROKEN = {"no-end-card.fits", "not-fits.fits", "truncated.fit"}
ZWO = {
    "Bias_ASIImg_frame0001.fit",
    "Bias_ASIImg_frame0002.fit",
    "Dark_ASIImg_10sec_frame0001.fit",
    "Flat_ASIImg_frame0001.fit",
}
STRANGERS = sorted([f"broken/{name}" for name in BROKEN] + [f"other telescope/{name}" for name in ZWO])

pytestmark = pytest.mark.slow


def test_broken_and_foreign_files_do_not_stop_the_night(arcsat_among_strangers):
    assert arcsat_among_strangers.process.returncode == 0


def test_the_products_are_the_same_to_the_byte_as_without_them(arcsat, arcsat_among_strangers):
    assert len(arcsat.digests) == 19 + 12
    assert arcsat_among_strangers.digests == arcsat.digests


def test_the_plan_has_every_stranger_and_the_night_as_it_was(arcsat, arcsat_among_strangers):
    rows = arcsat_among_strangers.plan
    assert sorted(set(rows) - set(arcsat.plan)) == STRANGERS
    assert {name: row for name, row in rows.items() if name not in STRANGERS} == arcsat.plan


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_is_rejected_with_a_reason(arcsat_among_strangers, name):
    row = arcsat_among_strangers.plan[name]
    assert row["role"] == "rejected"
    assert row["reason"].strip()
    assert not row["product"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("broken/no-end-card.fits", "END"),
        ("broken/not-fits.fits", "not FITS"),
        ("broken/truncated.fit", "truncated"),
        ("other telescope/Bias_ASIImg_frame0001.fit", "BAYERPAT"),
        ("other telescope/Flat_ASIImg_frame0001.fit", "bayer: split"),
    ],
)
def test_the_reason_is_what_is_wrong_with_the_file(arcsat_among_strangers, name, word):
    assert word in arcsat_among_strangers.plan[name]["reason"]


def test_the_report_names_every_stranger(arcsat_among_strangers):
    page = (arcsat_among_strangers.folder / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in STRANGERS)


def test_nothing_is_left_to_do_afterwards(arcsat_among_strangers, snakemake):
    again = snakemake(raw=os.path.relpath(arcsat_among_strangers.raw, REPOSITORY), out=arcsat_among_strangers.out)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout + again.stderr
