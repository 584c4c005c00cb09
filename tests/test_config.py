"""From the configuration to the plan; a mistake is reported with key, value and what was expected."""

import copy
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml
from astropy.io import fits
from nightcal.config import (
    choose_cameras,
    find_stars_file,
    make_options,
    parse_command_line,
    read_run_config,
    select_measurements,
    wants_fringes_subtracted,
)
from nightcal.errors import ConfigurationError
from nightcal.planning.dark_scaling import DarkPolicy
from nightcal.planning.matching import Options
from nightcal.planning.plan import STEPS
from nightcal.planning.setup_keywords import write_setup

HOME = Path(__file__).parents[1]
SHIPPED = yaml.safe_load((HOME / "config/config.yaml").read_text())


def write(path, kind, time, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    exposure = {"Bias Frame": 0.0, "Dark Frame": 300.0}.get(kind, 20.0)
    cards = {
        "IMAGETYP": kind,
        "DATE-OBS": time,
        "EXPTIME": exposure,
        "FILTER": "V",
        "SITELONG": 0.0,
        "EGAIN": 1.5,
        "RDNOISE": 5.0,
        **more,
    }
    fits.PrimaryHDU(np.full((8, 9), 1000, np.uint16), fits.Header(cards)).writeto(path)


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    folder = tmp_path_factory.mktemp("night") / "raw"
    for n in range(3):
        write(folder / f"bias{n}.fits", "Bias Frame", f"2024-03-01T18:0{n}:00")
        write(folder / f"flat{n}.fits", "Flat Field", f"2024-03-01T18:3{n}:00")
    write(folder / "m67.fits", "Light Frame", "2024-03-01T23:00:00")
    write(folder / "next/m44.fits", "Light Frame", "2024-03-02T23:00:00")
    (folder / "broken.fits").write_bytes(b"")
    write(folder / "results/20240301/science/m67.fits", "Light Frame", "2024-03-01T23:00:00")
    return folder


def config(folder, **changes):
    document = copy.deepcopy(SHIPPED)
    document.update(raw=str(folder), results=str(folder / "results"))
    for path, value in changes.items():
        *above, key = path.split("__")
        place = document
        for name in above:
            place = place[name]
        place[key] = value
    return document


def mistake(document):
    with pytest.raises(ConfigurationError) as caught:
        read_run_config(document, HOME)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_settings_of_the_command_line_are_parsed_at_any_depth():
    words = {"strict": "true", "sources": {"apertures": ["1.5", "2"], "threshold": "5e0", "enabled": "no"}}
    deep = {"photometry": {"filters": {"V": {"colour": "null", "colour_term": "-.05", "names": ["Off", "V'"]}}}}
    assert parse_command_line(words | deep) == {
        "strict": True,
        "sources": {"apertures": [1.5, 2], "threshold": 5.0, "enabled": False},
        "photometry": {"filters": {"V": {"colour": None, "colour_term": -0.05, "names": ["Off", "V'"]}}},
    }


@pytest.mark.parametrize("name", ["@stars.csv", "[x.csv", "stars: mine.csv", "2024-03-01", "*.csv"])
def test_a_name_that_looks_like_yaml_is_kept(name):
    assert parse_command_line({"catalog": {"file": name}}) == {"catalog": {"file": name}}


def test_paths_may_begin_with_the_home_folder_or_contain_variables(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("DISK", "/mnt/a")
    said = {
        "raw": "~/raw", "results": "$DISK/out", "library": ["~/lib", "${DISK}/lib"], "archive": "null",
        "bad_pixels": "~/m.fits", "camera": "auto", "catalog": {"file": "$DISK/x.csv", "folder": "~/stars"},
    }  # fmt: skip
    assert parse_command_line(said) == {
        "raw": "/home/me/raw", "results": "/mnt/a/out", "library": ["/home/me/lib", "/mnt/a/lib"], "archive": None,
        "bad_pixels": "/home/me/m.fits", "camera": "auto",
        "catalog": {"file": "/mnt/a/x.csv", "folder": "/home/me/stars"},
    }  # fmt: skip


def test_a_path_that_exists_is_kept_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("~", "$HOME"):
        (tmp_path / name).mkdir()
        assert parse_command_line({"raw": name}) == {"raw": name}


@pytest.mark.parametrize("night", ["2024-03-01", date(2024, 3, 1), "20240301"])
def test_a_night_may_be_a_date(night):
    assert parse_command_line({"night": night}) == {"night": "20240301"}


@pytest.mark.parametrize("name", ["yes", "no", "on", "true", "7", "~x"])
def test_a_folder_may_be_named_like_a_word_or_a_number(name):
    assert parse_command_line({"raw": name}) == {"raw": name}


def test_yes_and_no_mean_the_same_everywhere():
    words = {"yes": True, "NO": False, "on": True, "Off": False, "true": True, "null": None}
    for word, value in words.items():
        assert parse_command_line({"strict": word, "dark": {"scale_glow": word}}) == {
            "strict": value,
            "dark": {"scale_glow": value},
        }


def test_a_folder_of_frames_gives_the_plan_of_its_nights(raw):
    night = read_run_config(config(raw), HOME)
    assert tuple(night.nights) == ("20240301", "20240302")
    assert sorted(entry.frame.name for entry in night.plan.entries) == [
        *(f"bias{n}.fits" for n in range(3)),
        "broken.fits",
        *(f"flat{n}.fits" for n in range(3)),
        "m67.fits",
        "next/m44.fits",
    ]
    assert [m.kind for m in night.plan.masters] == ["gain", "bias", "flat", "bpm"]
    assert [e.reason for e in night.plan.find_entries("20240301") if e.role == "rejected"] == ["the file is empty"]
    assert set(night.cameras) == {path.stem for path in (HOME / "config/cameras").glob("*.yaml")}


@pytest.mark.parametrize("wanted", [20240302, "20240302"])
def test_a_chosen_night_may_use_masters_of_the_others(raw, wanted):
    night = read_run_config(config(raw, night=wanted), HOME)
    assert tuple(night.nights) == ("20240302",)
    (science,) = night.plan.find_science("20240302")
    assert science.bias.master.night == "20240301"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"xyzzy": "x"}, "configuration: xyzzy is not a known key; expected one of raw, results"),
        (
            {"rejection__stack_sigm": 5},
            "configuration: rejection.stack_sigm is not a known key; did you mean stack_sigma?",
        ),
        ({"stricct": True}, "configuration: stricct is not a known key; did you mean strict?"),
        ({"unit": "photons"}, "configuration: unit is 'photons'; expected electron or adu"),
        ({"sources__apertures": [3, 2]}, "configuration: sources.apertures is [3, 2]; expected ascending diameters."),
        ({"dark__largest_factor": 0.5}, "configuration: dark.largest_factor is 0.5; expected a number of 1 or more"),
        ({"flat__departure": 0}, "configuration: flat.departure is 0; expected percent above 0."),
        (
            {"raw": "/no/such/folder"},
            "configuration: raw is '/no/such/folder', which is not a folder",
        ),
        (
            {"camera": "nikon"},
            "configuration: camera is 'nikon'; expected auto, one of afosc, arcsat, asiair, lco-sbig, "
            "lco-sinistro-cube, lco-sinistro, lco-spectral, lco, nickel, nina, sharpcap, generic, or the path",
        ),
        ({"camera": "/no/such/camera.yaml"}, "/no/such/camera.yaml: cannot be read"),
        ({"night": 20250101}, "configuration: night is 20250101; expected one of 20240301, 20240302."),
        (
            {"bad_pixels": 5.5},
            "configuration: bad_pixels is 5.5; expected the path of a mask, a list of paths, or null.",
        ),
        ({"bad_pixels": "/no/mask.fits"}, "configuration: bad_pixels is '/no/mask.fits', which cannot be read"),
        ({"bad_pixels": ["/no/{mask}.fits"]}, "configuration: bad_pixels is '/no/{mask}.fits'; expected a path"),
        ({"defects__response": 1}, "configuration: defects.response is 1; expected a number between 0 and 1."),
    ],
)
def test_a_mistake_is_reported_with_key_value_and_expectation(raw, changes, sentence):
    assert mistake(config(raw, **changes)).startswith(sentence)


def test_a_missing_library_is_reported(raw):
    sentence = mistake(config(raw, library=["/no/such/library"]))
    assert "library" in sentence
    assert "/no/such/library" in sentence


def test_raw_cannot_be_a_file(raw):
    assert "raw is " in mistake(config(raw) | {"raw": str(raw / "m67.fits")})


def test_an_empty_folder_is_reported_with_the_expected_names(tmp_path):
    (tmp_path / "notes.txt").write_text("clouds")
    assert "contains no FITS file; expected names ending in .fits, .fit or .fts" in mistake(config(tmp_path))


@pytest.mark.parametrize("key", ["library", "night", "batch_size", "bad_pixels"])
def test_an_optional_key_may_be_missing(raw, key):
    document = config(raw)
    del document[key]
    assert len(read_run_config(document, HOME).plan.science) == 2


def test_a_camera_file_can_be_given_by_its_path(raw, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ntitle: x\n"
        "cards: {start: DATE-OBS, exposure: EXPTIME, type: IMAGETYP}\ntypes: [{science: {type: '*'}}]\n"
    )
    night = read_run_config(config(raw, camera=str(path)), HOME)
    assert list(night.cameras) == ["mine"]
    assert {entry.frame.camera for entry in night.plan.entries if not entry.frame.problem} == {"mine"}


def test_a_camera_is_chosen_by_name():
    assert [camera.name for camera in choose_cameras("nickel", HOME / "config/cameras")] == ["nickel"]
    assert len(choose_cameras("auto", HOME / "config/cameras")) == len(list((HOME / "config/cameras").iterdir()))


def test_the_configuration_reaches_the_planner():
    document = config(
        Path("raw"),
        flat__prefer="dome",
        bias__split_hours=3,
        dark__max_age_days=7.5,
        flat__too_old="reject",
        dark__temperature_tolerance=0.0,
        dark__scaling="down",
        dark__largest_factor=None,
        dark__otherwise="reject",
    )
    options = make_options(document)
    assert options.split_hours == {"bias": 3, "dark": None, "flat": None}
    assert options.max_age_days == {"bias": None, "dark": 7.5, "flat": None}
    assert options.too_old == {"bias": "use", "dark": "use", "flat": "reject"}
    assert options.temperature_tolerance == 0
    assert options.prefer_source == "dome"
    assert make_options(config(Path("raw"))).prefer_source == "twilight"
    assert options.darks == DarkPolicy("down", None, "reject")


def test_the_defaults_of_configuration_and_planner_agree():
    assert make_options(SHIPPED) == Options(
        split_hours=dict.fromkeys(STEPS), max_age_days=dict.fromkeys(STEPS), too_old=dict.fromkeys(STEPS, "use")
    )


def test_darks_of_a_glowing_camera_are_scaled_only_if_so_configured(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: x\ntypes: [{science: {type: '*'}}]\namplifier_glow: true\n")
    cameras = choose_cameras(str(path), HOME / "config/cameras")
    assert make_options(SHIPPED, cameras).darks.unscalable == {"mine"}
    assert make_options(config(Path("raw"), dark__scale_glow=True), cameras).darks.unscalable == set()
    assert make_options(SHIPPED, choose_cameras("auto", HOME / "config/cameras")).darks.unscalable == set()


@pytest.mark.parametrize(("seconds", "served"), [({}, True), ({"EXPMAX": 8.0}, False), ({"EXPMAX": "long"}, False)])
def test_the_longest_exposure_time_of_a_library_dark_counts(raw, tmp_path, seconds, served):
    header = fits.Header(
        {
            "MASTER": "dark",
            "NCCAMERA": "generic",
            "NCINSTR": "",
            "NCXBIN": 1,
            "NCYBIN": 1,
            "NCMODE": "",
            "NCNY": 8,
            "NCNX": 9,
            "NCAREA": "[1:9,1:8]",
            "NCOVSC": False,
            "NIGHT": "20240228",
            "MJD-AVG": 60368.0,
            "EXPTIME": 12.0,
            **seconds,
        }
    )
    fits.PrimaryHDU(np.zeros((8, 9), np.float32), header).writeto(tmp_path / "dark.fits")
    plan = read_run_config(config(raw, library=[str(tmp_path)]), HOME).plan  # its frames have 20 s
    assert {science.dark.master is not None for science in plan.science} == {served}


def test_masters_in_a_library_compete(raw, tmp_path):
    header = fits.Header({"MASTER": "bias", "MJD-AVG": 60371.9, "EXPTIME": 0.0})
    frame = read_run_config(config(raw), HOME).plan.masters[0].frames[0]
    write_setup(header, replace(frame, night="20240302"))
    fits.PrimaryHDU(np.zeros((8, 9), np.float32), header).writeto(tmp_path / "bias_of_old.fits")
    (tmp_path / "notes.fits").write_text("not a master")
    write(tmp_path / "raw.fits", "Light Frame", "2024-03-02T23:00:00")
    plan = read_run_config(config(raw, library=[str(tmp_path)]), HOME).plan
    chosen = {science.frame.name: science.bias.master for science in plan.science}
    assert chosen["next/m44.fits"].path == tmp_path / "bias_of_old.fits"  # 1.5 h away; tonight's 29 h
    assert chosen["m67.fits"].path is None


def test_empty_or_incomplete_library_masters_are_skipped(raw, tmp_path):
    fits.PrimaryHDU(
        np.zeros((8, 9)), fits.Header({"MASTER": "bias", "NCCAMERA": "generic", "EMPTY": "no frames"})
    ).writeto(tmp_path / "a.fits")
    fits.PrimaryHDU(np.zeros((8, 9)), fits.Header({"MASTER": "bias", "NCCAMERA": "generic"})).writeto(
        tmp_path / "b.fits"
    )
    plan = read_run_config(config(raw, library=[str(tmp_path)]), HOME).plan
    assert all(science.bias.master.path is None for science in plan.science)


def test_results_cannot_be_the_raw_folder(raw):
    sentence = "configuration: results is {!r}, the folder of the raw frames; expected a different folder."
    for written in (str(raw), f"{raw}/", f"{raw}/next/.."):
        assert mistake(config(raw) | {"results": written}) == sentence.format(written)


def test_results_cannot_be_a_link_to_the_raw_folder(raw, tmp_path):
    (tmp_path / "link").symlink_to(raw, target_is_directory=True)
    assert "the folder of the raw frames" in mistake(config(raw) | {"results": str(tmp_path / "link")})


@pytest.mark.parametrize("key", ["results", "camera"])
@pytest.mark.parametrize(("name", "misread"), [("{mine}.yaml", "{"), ("<mine>.yaml", "<mine>")])
def test_a_path_that_snakemake_would_misread_is_reported(raw, key, name, misread, tmp_path):
    # The file is there and would serve under another name.
    path = tmp_path / name
    path.write_text(
        "name: mine\ntitle: x\n"
        "cards: {start: DATE-OBS, exposure: EXPTIME, type: IMAGETYP}\ntypes: [{science: {type: '*'}}]\n"
    )
    expected = f"configuration: {key} is {str(path)!r}; expected a path without {misread}."
    assert mistake(config(raw) | {key: str(path)}) == expected


@pytest.mark.parametrize("name", ["{stars}", "<stars>"])
def test_a_folder_that_snakemake_would_misread_is_reported(raw, tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    for key, changed in (
        ("library", {"library": [str(folder)]}),
        ("catalog.folder", {"catalog": SHIPPED["catalog"] | {"folder": str(folder)}}),
    ):
        found, _, expected = mistake(config(raw) | changed).partition("; expected a ")
        assert found == f"configuration: {key} is {str(folder)!r}"
        assert f"without {name[0] if name[0] == '{' else name}." in expected


def test_user_masks_reach_the_planner_with_their_size(raw, tmp_path):
    fits.PrimaryHDU(np.zeros((8, 9), np.uint8)).writeto(tmp_path / "mine.fits")
    packed = fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(np.zeros((4, 5), np.int16))])
    packed.writeto(tmp_path / "binned.fits.fz")
    for given in (str(tmp_path / "mine.fits"), [str(tmp_path / "binned.fits.fz"), str(tmp_path / "mine.fits")]):
        plan = read_run_config(config(raw, bad_pixels=given), HOME).plan
        assert [mask.user_masks for mask in plan.masters if mask.kind == "bpm"] == [(tmp_path / "mine.fits",)] * 2
        assert not any(science.bpm.warning for science in plan.science)
    plan = read_run_config(config(raw, bad_pixels=str(tmp_path / "binned.fits.fz")), HOME).plan
    assert {science.bpm.warning for science in plan.science} == {
        "bad pixel mask not used: no bad_pixels mask has 9 x 8 pixels (binned.fits.fz has 5 x 4)"
    }


@pytest.mark.parametrize("content", [b"", b"no FITS " * 1000, None])
def test_a_user_mask_without_an_image_is_reported(raw, tmp_path, content):
    path = tmp_path / "mine.fits"
    if content is None:
        fits.PrimaryHDU().writeto(path)
    else:
        path.write_bytes(content)
    sentence = mistake(config(raw, bad_pixels=str(path)))
    assert sentence.startswith(f"configuration: bad_pixels is {str(path)!r}")


RULES = {"R": {"band": "r", "names": ["Rc", 7]}, "r": {"band": "r", "colour": ["g", "r"], "names": ["rp", "r'"]}}


def test_a_section_that_is_switched_off_is_not_measured():
    config = {
        "sources": {"enabled": False},
        "cosmic_rays": {"enabled": True, "sigclip": 5},
        "photometry": {"filters": RULES},
    }
    assert select_measurements(config, {"R", "L"}) == {
        "trails": {},
        "cosmic_rays": {"sigclip": 5},
        "astrometry": {},
        "photometry": {"filters": {"R": {"band": "r"}}},
    }


def test_reference_stars_are_found_among_the_raw_frames(tmp_path):
    assert find_stars_file("auto", tmp_path) is None
    (tmp_path / "stars.csv").write_text("ra,dec\n")
    assert find_stars_file("auto", tmp_path) == tmp_path / "stars.csv"
    assert find_stars_file(None, tmp_path) is None
    with pytest.raises(ConfigurationError, match=r"catalog.file is '/nowhere/stars.fits'; expected auto, null, or"):
        find_stars_file("/nowhere/stars.fits", tmp_path)


def test_groups_of_the_command_line_are_parsed_at_any_depth():
    said = {
        "sources": {"apertures": ["2", "3.5"]},
        "photometry": {"filters": {"V": {"band": "V", "colour_term": "0.1"}}},
    }
    assert parse_command_line(said) == {
        "sources": {"apertures": [2, 3.5]},
        "photometry": {"filters": {"V": {"band": "V", "colour_term": 0.1}}},
    }


def test_an_unusable_star_catalogue_is_reported_before_the_first_job(raw, tmp_path):
    stars = tmp_path / "mine.csv"
    stars.write_text("alpha,delta\n10.5,-3.5\n")
    wrong = config(raw)
    wrong["catalog"]["file"] = str(stars)
    assert f"{stars}: no column found for ra; set catalog.columns.ra to one of" in mistake(wrong)
    wrong["catalog"]["columns"] = {"ra": "alpha", "dec": "delta"}
    assert read_run_config(wrong, HOME).stars == stars


def test_a_folder_with_files_of_other_formats_only_is_explained(tmp_path):
    (tmp_path / "IMG_0001.CR2").write_bytes(b"x")
    message = mistake(config(tmp_path))
    assert "contains no FITS file" in message
    assert "1 of other formats: a raw photo of a digital camera (.cr2)" in message


@pytest.mark.parametrize(
    ("chosen", "name", "wanted"),
    [
        ({}, "z", False),
        ({"z": "auto"}, "z", True),
        ({"z": "auto"}, "SDSS-Z", True),  # another name of the filter, as photometry.filters has it
        ({"SDSS-Z": "auto"}, "SDSS-Z", True),
        ({"z": "auto", "SDSS-Z": "off"}, "SDSS-Z", False),  # the name in the header comes first
        ({"z": "auto"}, "i", False),
        ({"z": "off"}, "z", False),
        ({"z": False}, "z", False),  # as YAML reads a bare off
        ({"Y": "auto"}, "Y", True),
    ],
)
def test_fringes_are_subtracted_in_the_filters_that_are_named(chosen, name, wanted):
    assert wants_fringes_subtracted(SHIPPED | {"fringe": chosen}, name) is wanted
