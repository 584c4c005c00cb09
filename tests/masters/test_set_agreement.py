"""Faults planted in sets of calibration frames are found and named, and good frames are kept."""

import numpy as np
import pytest
from nightcal.io.verdict import Outcome
from nightcal.masters.make import make_master_bias

from benchmarks.faulty_sets import Chip, Folder
from benchmarks.verification import CAMERA, FAULTS, play_bias

SEEDS = (31, 32)
MINORITY = [
    "leak of 8 ADU in 1 of 16 bias",
    "leak of 30 ADU in 4 of 16 bias",
    "level 28 ADU off in 4 of 16 bias",
    "bias 10 C warmer in 4 of 16",
    "noise 1.5 times in 1 of 16 bias",
    "leak of 12 e- in 1 of 4 darks",
    "no dark current in a band of 1 of 5 darks",
]
MAJORITY = [
    "leak of 8 ADU in 9 of 16 bias",
    "level 28 ADU off in 9 of 16 bias",
    "no dark current in a band of 3 of 5 darks",
]


@pytest.fixture(params=[True, False], ids=["overscan", "no overscan"])
def chip(request):
    return lambda seed: Chip(seed, request.param)


@pytest.mark.parametrize("name", MINORITY)
def test_a_minority_is_left_out_and_the_reason_names_the_fault(name, chip, tmp_path):
    for seed in SEEDS:
        result = FAULTS[name].play(Folder(tmp_path / str(seed), chip(seed)))
        assert (result.found, result.lost, result.outcome) == (result.faulty, 0, Outcome.ACCEPTED)
        assert any(word in result.words for word in FAULTS[name].words)


@pytest.mark.parametrize("name", MAJORITY)
def test_of_a_set_that_does_not_mostly_agree_nothing_is_believed(name, chip, tmp_path):
    result = FAULTS[name].play(Folder(tmp_path, chip(33)))
    assert result.outcome is Outcome.DOUBTFUL
    assert "frames disagree: only" in result.words


@pytest.mark.parametrize("name", ["good bias, 3 frames", "good bias, 5 frames", "good bias", "good dark", "good flat"])
def test_no_good_frame_is_lost(name, chip, tmp_path):
    for seed in SEEDS:
        result = FAULTS[name].play(Folder(tmp_path / str(seed), chip(seed)))
        assert (result.lost, result.outcome) == (0, Outcome.ACCEPTED)


def test_a_frame_whose_columns_are_displaced_is_left_out(chip, tmp_path):
    folder = Folder(tmp_path, chip(34))
    good = folder.take("bias", 0.0, 6)
    folder.chip.pattern = np.roll(folder.chip.pattern, 8, axis=1)
    header = make_master_bias(good + folder.take("bias", 0.0, 1), CAMERA).header
    assert header["NREJECT"] == 1
    assert "displaced" in header["REJW001"]


def test_two_frames_that_differ_are_both_doubtful(chip, tmp_path):
    result = play_bias(lambda n, image: image + 40 * (n == 0), [0], 2)(Folder(tmp_path, chip(35)))
    assert (result.found, result.outcome) == (0, Outcome.DOUBTFUL)


def test_a_level_that_drifts_steadily_costs_no_frame(tmp_path):
    steady = play_bias(lambda n, image: image + 4.0 * n, [], 8)(Folder(tmp_path, Chip(36, overscan=False)))
    assert steady.lost == 0


def test_of_two_levels_without_overscan_those_nearest_to_the_science_frames_are_kept(tmp_path):
    folder = Folder(tmp_path, Chip(37, overscan=False))
    paths = folder.take("bias", 0.0, 16, 0.0, lambda n, image: image + 42 * (n < 8))
    for serves, kept in ((60370.0, paths[:8]), (60372.0, paths[8:])):
        header = make_master_bias(paths, CAMERA, serves=serves).header
        assert [header[f"IMCMB{n:03d}"] for n in range(1, 9)] == [path.name for path in kept]
        assert header["OWNVERD"] == "doubtful"
        assert "night.yaml: - {group: other, file: " in header["OWNWHY"]
