"""Nights with unusual headers or numbers come out right, or say what is wrong."""

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from nightcal.flags import Flag
from nightcal.io.master import load_master
from odd_night import SCHEDULE, OddNight, judge, list_warnings, reduce_night

EXPOSURE = 50.0


def is_right(product, truth):
    ratio, mean, width, good = judge(product, truth)
    return abs(ratio - 1) < 0.01 and abs(mean) < 0.1 and abs(width - 1) < 0.1 and good > 0.9


def reduce(night, **settings):
    plan, products = reduce_night(night.folder, night.folder.parent / "results", **settings)
    assert products
    return plan, products


@pytest.fixture
def night(tmp_path):
    return OddNight(tmp_path / "raw")


def with_cards(**cards):
    """Change cards of all frames; the name of a keyword may hold ``__`` for a hyphen."""

    def change(kind, data, header, number):
        return data, header | {name.replace("__", "-"): value for name, value in cards.items()}

    return change


def for_kinds(kinds, **cards):
    """Change cards of frames of some types only."""
    changed = with_cards(**cards)
    return lambda kind, data, header, number: changed(kind, data, header, number) if kind in kinds else (data, header)


def tai(kind, data, header, number):
    start = Time(header["DATE-OBS"], scale="utc").tai
    return data, header | {"DATE-OBS": start.isot, "TIMESYS": "TAI"}


def split_date(kind, data, header, number):
    date, time = header["DATE-OBS"].split("T")
    return data, header | {
        "DATE-OBS": date,
        "TIME-OBS": header["DATE-OBS"],
        "MJD-OBS": Time(header["DATE-OBS"]).mjd,
        "UT": time,
    }


def temperature_as(card):
    return with_cards(**{"SET-TEMP": None, "CCD-TEMP": None, card: -10.0})


QUIET = {
    "usual": with_cards(),
    "readout mode in the science frames as well": for_kinds(["science"], READOUTM="Mono", READMODE="Mono"),
    "readout mode under two names": lambda kind, data, header, number: (
        data,
        header | ({"READOUTM": "Fast"} if kind == "science" else {"READMODE": "fast"}),
    ),
    "what holds without a keyword": for_kinds(["science"], FLIPSTAT="none", XORGSUBF=0, HFLIP=False, PEDESTAL=0),
    "binning in the bias frames only": for_kinds(["dark", "flat", "science"], XBINNING=None, YBINNING=None),
    "the camera as different drivers name it": lambda kind, data, header, number: (
        data,
        header | {"INSTRUME": "Acme CCD 120 Pro" if kind == "bias" else "ACME 120 Pro camera"},
    ),
    "second name of the instrument": for_kinds(["science"], DETECTOR="KAF-8300"),
    "no filter in the first wheel": with_cards(FILTER="NO_FILTER", FILTER2="V"),
    "no filter in the second wheel": with_cards(FILTER="V", FILTER2="open"),
    "one filter in either of two wheels": lambda kind, data, header, number: (
        data,
        header
        | {
            "FILTER": None,
            "FILTER1": "open1-6" if number % 2 else "V",
            "FILTER2": "V" if number % 2 else "Empty slot 3",
        },
    ),
    "measured temperature only": temperature_as("TEMPERAT"),
    "atomic time": tai,
    "text for numbers": lambda kind, data, header, number: (data, header | {"EXPTIME": f"{header['EXPTIME']} s"}),
    "binning as 1x1": with_cards(XBINNING=None, YBINNING=None, BINNING="1x1"),
    "date alone, MJD beside": split_date,
    "largest pixel of the frame": lambda kind, data, header, number: (data, header | {"DATAMAX": float(data.max())}),
    "a name beyond ASCII": with_cards(OBSERVER="Munoz"),
}
"""Unusual headers that cost nothing."""


@pytest.mark.parametrize("change", QUIET.values(), ids=QUIET)
def test_an_unusual_header_that_says_enough_costs_nothing(night, change):
    night.take_all(change if change != with_cards() else None)
    _, products = reduce(night)
    for product in products.values():
        told = [text for text in list_warnings(product) if "assumed alike" not in text]
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
        assert told == []


TOLD = {
    "SET-TEMP": with_cards(**{"SET-TEMP": -999.0}),
    "EXPTIME": for_kinds(["bias"], EXPTIME=-1),
    "DATE-OBS": lambda kind, data, header, number: (
        data,
        header | {"MJD-OBS": Time(header["DATE-OBS"]).mjd, "DATE-OBS": f"{header['DATE-OBS'][:-1]}garbage"},
    ),
    "EXPOSURE": lambda kind, data, header, number: (
        data,
        header | {"EXPOSURE": header["EXPTIME"], "EXPTIME": 1000 * header["EXPTIME"]},
    ),
    "XBINNING": with_cards(XBINNING="none of it"),
}
"""Cards that cannot be right, and cost a warning that names them."""


@pytest.mark.parametrize("card", TOLD)
def test_a_card_that_cannot_be_right_costs_a_warning_not_the_night(night, card):
    night.take_all(TOLD[card])
    plan, products = reduce(night)
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
    assert any(card in warning for entry in plan.entries for warning in entry.frame.warnings)


def two_settings(night, card, **of_setting):
    """Take two sets of everything, each with its own value of a setting, gain and bias level."""
    for value, (gain, level) in of_setting.items():
        for kind, exposure, count in SCHEDULE:
            change = with_cards(**{card: value, "EGAIN": gain})
            night.take(
                kind,
                exposure,
                count,
                prefix=f"{kind}_{value}",
                gain=gain,
                level=level,
                change=lambda *frame, kind=kind, change=change: change(kind, *frame),
            )


@pytest.mark.parametrize(
    "card", ["GAIN", "OFFSET", "READPORT", "PREAMP", "ISOSPEED", "BLKLEVEL", "CCDNAME", "HIERARCH ESO DET READ CLOCK"]
)
def test_two_settings_of_a_night_have_masters_of_their_own(night, card):
    two_settings(night, card, low=(1.6, 900.0), high=(0.8, 1500.0))
    _, products = reduce(night)
    assert len(products) == 4
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))


@pytest.mark.parametrize("card", ["GAIN", "OFFSET", "XORGSUBF", "FRAMEX", "READPORT", "WINDOW", "VFLIP", "EMGAIN"])
def test_masters_of_another_setting_are_not_used_and_the_plan_names_it(night, card):
    night.take_all(
        lambda kind, data, header, number: (data + 300 * (kind == "science"), header | {card: 1 + (kind == "science")})
    )
    plan, _ = reduce(night)
    for entry in (entry for entry in plan.entries if entry.role == "reduced"):
        assert f"no bias: 5 bias frames differ in {card} ('1' and '2'): step skipped" in entry.reason


def test_two_filter_wheels_that_both_hold_a_filter_make_a_pair(night):
    night.take_all()
    night.take("science", EXPOSURE, 1, prefix="dimmed", change=lambda d, h, n: (d, h | {"FILTER2": "ND"}))
    plan, _ = reduce(night)
    (entry,) = [entry for entry in plan.entries if entry.frame.name == "dimmed_01.fits"]
    assert entry.frame.filter == "V+ND"
    assert "no flat in filter V+ND: 5 flats in V: step skipped" in entry.reason


def test_darks_of_two_temperatures_in_any_spelling_are_not_mixed(night):
    change = temperature_as("TEMPERAT")
    night.take_all(change)
    night.dark *= 12
    warm = temperature_as("TEMPERAT")
    night.take("dark", 100.0, 5, prefix="warm", change=lambda d, h, n: warm("dark", d, h, n))
    for path in night.folder.glob("warm*"):
        fits.setval(path, "TEMPERAT", value=5.0)
    _, products = reduce(night)
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))


@pytest.mark.parametrize("card", ["NSUBREAD", "COADDS"])
def test_frames_summed_at_the_telescope_have_so_many_bias_levels(night, card):
    night.take_all(schedule=SCHEDULE[:3], dtype=np.int32)
    total = sum(night.expose("science", EXPOSURE / 5) for _ in range(5))
    night.write("science", total, night.cards("science", EXPOSURE) | {card: 5}, np.int32)
    _, products = reduce(night)
    (product,) = products.values()
    assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
    assert any(f"{card} = 5" in text for text in list_warnings(product))


def test_a_frame_stored_upside_down_is_turned(night):
    night.take_all(
        lambda kind, data, header, number: (
            (data[::-1], header | {"ROWORDER": "TOP-DOWN"})
            if kind == "science"
            else (data, header | {"ROWORDER": "BOTTOM-UP"})
        )
    )
    _, products = reduce(night)
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
        assert product.header["ROWORDER"] == "BOTTOM-UP"
        assert any("ROWORDER" in text for text in list_warnings(product))


@pytest.mark.parametrize(
    "mark",
    [
        {"CALSTAT": "BDF"},
        {"NCOMBINE": 20},
        {"FLATCOR": "Flat field image is V"},
        {"RLEVEL": 91},
        {"HISTORY": "Dark subtracted"},
    ],
    ids=lambda mark: next(iter(mark)),
)
def test_what_other_programs_made_of_a_night_is_left_out(night, mark):
    night.take_all()
    for kind, exposure in (("bias", 0.0), ("dark", 100.0), ("flat", 4.0), ("science", EXPOSURE)):
        pixels = np.full(night.shape, 500.0)
        night.write(f"made_{kind}", pixels, night.cards(kind, exposure) | mark, np.float32)
    plan, products = reduce(night)
    (name,) = mark
    reasons = {entry.frame.name: entry.reason for entry in plan.entries if entry.role == "rejected"}
    assert len(reasons) == 4
    assert all(
        reason.endswith(f"{name} {'says' if name == 'HISTORY' else 'is'} {mark[name]!r}") for reason in reasons.values()
    )
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))


@pytest.mark.parametrize("word", ["FlatDark", "Flat Dark", "DARKFLAT", "Dark for flat", "LAMPFLAT,OFF"])
def test_darks_of_the_flats_are_darks_in_the_words_of_any_program(night, word):
    night.take_all(lambda kind, data, header, number: (data, header | ({"IMAGETYP": word} if kind == "dark" else {})))
    plan, products = reduce(night)
    assert {master.kind: len(master.frames) for master in plan.masters if master.kind in ("dark", "flat")} == {
        "dark": 5,
        "flat": 5,
    }
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))


PROGRAMS = {
    "bias": {"IMAGETYP": "BIAS"},
    "dark": {"IMAGETYP": "Dark", "CREATOR": "ZWO ASIAIR Plus"},
    "flat": {"IMAGETYP": "Flat", "SWCREATE": "SharpCap v4.1, 64 bit"},
    "science": {"IMAGETYP": "LIGHT", "SWCREATE": "N.I.N.A. 3.1.2.9001"},
}


def test_frames_that_several_programs_took_with_one_camera_share_masters(night):
    two_settings(night, "GAIN", low=(1.6, 900.0), high=(0.8, 1500.0))
    for path in night.folder.iterdir():
        for card, value in PROGRAMS[path.name.split("_")[0]].items():
            fits.setval(path, card, value=value)
    plan, products = reduce(night)
    assert {entry.frame.camera for entry in plan.entries} == {"generic", "asiair", "sharpcap", "nina"}
    assert len(products) == 4
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
        assert list_warnings(product) == []


def test_the_gain_is_measured_in_frames_of_several_programs_and_with_a_keyword_that_some_lack(night):
    night.take_all(
        lambda kind, data, header, number: (
            data,
            header
            | {"EGAIN": None, "RDNOISE": None}
            | PROGRAMS[kind]
            | ({"READOUTM": "Fast"} if kind in ("flat", "science") else {}),
        )
    )
    _, products = reduce(night)
    for product in products.values():
        assert product.header["GAINSRC"].startswith("measured")
        assert product.header["GAINUSED"] == pytest.approx(night.gain, rel=0.03)
        told = [text for text in list_warnings(product) if "assumed alike" not in text]
        assert told  # the chip is small, and the error large
        assert all(text.startswith("unknown gain: no ") for text in told), told


def test_a_night_of_two_gain_settings_and_many_dialects_through_snakemake(night, snakemake):
    """Each setting has masters of its own; what is no raw frame is left out, and what is doubtful is told."""
    two_settings(night, "GAIN", low=(1.6, 900.0), high=(0.8, 1500.0))
    night.take("science", EXPOSURE, 1, prefix="done", change=lambda d, h, n: (d, h | {"GAIN": "low", "CALSTAT": "BDF"}))
    for path in night.folder.glob("*high*"):
        fits.setval(path, "SET-TEMP", value=-999.0)
        fits.setval(path, "READMODE", value="Fast")
    results = snakemake.reduced(night.folder, night.folder.parent / "results") / "20240301"
    products = {path.stem: load_master(path) for path in results.glob("science/*.fits")}
    assert sorted(products) == ["science_high_01", "science_high_02", "science_low_01", "science_low_02"]
    for name, product in products.items():
        assert is_right(product, night.scene(EXPOSURE)), (name, judge(product, night.scene(EXPOSURE)))
        assert any("SET-TEMP" in text for text in list_warnings(product)) == ("high" in name)
    assert "CALSTAT is &#x27;BDF&#x27;" in (results / "report.html").read_text()


def test_an_egain_of_zero_in_some_frames_is_unknown_not_another_setting(night):
    night.take_all(for_kinds(["science"], EGAIN=0.0))
    _, products = reduce(night)
    for product in products.values():
        assert not product.header.get("SKIPPED")
        assert any("EGAIN is 0" in text for text in list_warnings(product))
        assert judge(product, night.scene(EXPOSURE))[0] == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("setting", [0, 1, 139])
def test_a_gain_that_is_a_setting_is_told_with_the_measured_one(tmp_path, setting):
    night = OddNight(tmp_path / "raw", shape=(192, 192))
    night.take_all(with_cards(EGAIN=None, RDNOISE=None, GAIN=setting, OFFSET=30))
    _, products = reduce(night)
    for product in products.values():
        assert judge(product, night.scene(EXPOSURE))[0] == pytest.approx(1, abs=0.02)
        (told,) = list_warnings(product)
        assert told.startswith(f"gain setting: GAIN is {setting}")
        assert "e-/ADU and" in told


@pytest.mark.parametrize("columns", [(1, 8), (73, 80), (73, 88)])
def test_an_overscan_that_follows_the_light_is_told(night, columns):
    def change(kind, data, header, number):
        overscan = night.rng.normal(night.bias_level, night.read_noise / night.gain, (night.shape[0], 8)).round()
        return np.hstack([data, overscan]), header | {"BIASSEC": f"[{columns[0]}:{columns[1]},1:96]", "TRIMSEC": trim}

    trim = "[9:72,1:96]"
    night.take_all(change)
    _, products = reduce(night)
    for product in products.values():
        assert any(text.startswith("light in the overscan") and "BIASSEC" in text for text in list_warnings(product))


def test_an_overscan_without_light_is_not_blamed(night):
    def change(kind, data, header, number):
        level = night.bias_level + 150 * (number % 2)  # follows the bias level of each frame
        overscan = night.rng.normal(level, night.read_noise / night.gain, (night.shape[0], 8)).round()
        moved = data + level - night.bias_level
        return np.hstack([moved, overscan]), header | {"BIASSEC": "[81:88,1:96]", "TRIMSEC": "[1:80,1:96]"}

    night.take_all(change)
    _, products = reduce(night)
    for product in products.values():
        assert is_right(product, night.scene(EXPOSURE)), judge(product, night.scene(EXPOSURE))
        assert list_warnings(product) == []


def test_a_single_pixel_at_the_top_of_a_shifted_adc_is_saturated(night):
    def change(kind, data, header, number):
        data = np.floor(data / 16) * 16
        if kind == "science":
            data[40, 50] = 65520
        return data, header

    night.take_all(change)
    _, products = reduce(night)
    for product in products.values():
        assert product.header["SATUSED"] == 65520
        assert product.mask[40:41][0, 50] & Flag.SATURATED


@pytest.mark.parametrize(
    ("value", "told"), [(905, "no scatter: "), (65535, "many flagged pixels: most pixels of the sky")]
)
def test_a_frame_without_a_good_pixel_is_told(night, value, told):
    def change(kind, data, header, number):
        broken = np.full_like(data, value)
        if value == 65535:
            broken[0, 0] = 5000
        return (broken if kind == "science" else data), header

    night.take_all(change)
    _, products = reduce(night)
    for product in products.values():
        assert any(text.startswith(told) for text in list_warnings(product))


def test_a_saturation_that_is_too_low_is_named_where_it_costs_the_flats(night):
    night.take_all(with_cards(SATURATE=9000))
    _, products = reduce(night)
    for product in products.values():
        assert any("at 9000 ADU or more (SATURATE or the camera file)" in text for text in list_warnings(product))
