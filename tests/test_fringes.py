"""Nights with fringes through Snakemake."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from fringes import make_pattern, measure_amplitude, write_raw_night
from helpers import digests

NIGHT = "20240301"


def read(path):
    with fits.open(path) as hdus:
        return [np.array(hdu.data) for hdu in hdus], hdus[0].header.copy()


def test_a_dry_run_shows_both_passes_only_for_filters_that_are_asked_for(tmp_path, snakemake):
    write_raw_night(tmp_path / "raw", 0.02, frames=5, shape=(48, 64))
    folders = {"raw": tmp_path / "raw", "results": tmp_path / "results"}
    asked = snakemake("-n", **folders, fringe="{z: auto}")
    assert asked.returncode == 0
    for rule in ("calibrate_unfringed_20240301_0001", "make_fringe", "reduce_science_20240301_0001"):
        assert f"rule {rule}:" in asked.stdout + asked.stderr
    assert "is made from 5 science frames" in asked.stderr
    for option in ("{z: off}", "{i: auto}"):
        off = snakemake("-n", **folders, fringe=option)
        assert off.returncode == 0
        assert "make_fringe" not in off.stdout + off.stderr
        assert "unfringed" not in off.stdout + off.stderr


def test_a_wrong_value_stops_at_once(tmp_path, snakemake):
    done = snakemake("-n", raw=tmp_path, results=tmp_path / "results", fringe="{z: maybe}")
    assert done.returncode != 0
    assert "fringe.z is 'maybe'; expected auto or off." in done.stderr


@pytest.mark.slow
def test_a_night_with_fringes_loses_them_and_one_without_is_left_alone(tmp_path, snakemake):
    truths = write_raw_night(tmp_path / "raw", 0.02)
    on = snakemake.reduced(tmp_path / "raw", tmp_path / "on", fringe="{z: auto}")
    pattern = make_pattern((160, 192))
    for name, truth in truths.items():
        (image, _, mask), header = read(on / NIGHT / "science" / name)
        assert header["FRNGCOR"]
        level = float(np.median(truth))
        assert abs(measure_amplitude(image - truth, pattern, mask == 0)) < 0.003 * level
    assert not list((on / NIGHT / "unfringed").glob("*"))
    first = digests(on)
    for path in [*(on / NIGHT).glob("masters/fringe_*"), on / NIGHT / "science" / "field_2.fits"]:
        path.unlink()
    assert digests(snakemake.reduced(tmp_path / "raw", on, fringe="{z: auto}")) == first

    plain = write_raw_night(tmp_path / "plain", 0.0)
    off = snakemake.reduced(tmp_path / "plain", tmp_path / "off", fringe="{z: auto}")
    asked = shutil.copytree(off, tmp_path / "asked")
    snakemake.reduced(tmp_path / "plain", off)
    for name in plain:
        images, header = read(asked / NIGHT / "science" / name)
        others, made_anew = read(off / NIGHT / "science" / name)
        assert header["FRNGSTAT"] == "not subtracted: no accepted fringe frame"
        assert "FRNGSTAT" not in made_anew
        assert all((one == other).all() for one, other in zip(images, others, strict=True))
    assert "no fringes" in Path(next((asked / NIGHT / "verdicts").glob("fringe_*.json"))).read_text()
