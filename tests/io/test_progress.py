"""While a night runs, it is said how many frames are calibrated, and how long the others will take."""

import pytest
from nightcal.io.progress import describe_progress, find_missing, watch_products


@pytest.mark.parametrize(
    ("done", "total", "seconds", "said"),
    [
        (132, 205, 240, "Calibrated 132 of 205 science frames, about 2 min left."),
        (50, 100, 40, "Calibrated 50 of 100 science frames, about 40 s left."),
        (99, 100, 9, "Calibrated 99 of 100 science frames, about 1 s left."),
        (1, 100, 9, "Calibrated 1 of 100 science frames."),
        (100, 100, 9, "Calibrated 100 of 100 science frames."),
    ],
)
def test_progress_is_told_in_one_line(done, total, seconds, said):
    assert describe_progress(done, total, seconds) == said


def test_a_folder_that_does_not_exist_yet_lacks_everything(tmp_path):
    (tmp_path / "a.fits").touch()
    paths = [tmp_path / "a.fits", tmp_path / "b.fits", tmp_path / "later" / "c.fits"]
    assert find_missing(paths) == set(paths[1:])


def test_only_what_was_missing_counts_and_the_watch_ends(tmp_path):
    paths = [tmp_path / f"{n}.fits" for n in range(5)]
    for path in paths[:2]:
        path.touch()
    said = []
    watch = watch_products(paths, said.append, interval=0.01)
    for path in paths[2:]:
        path.touch()
    watch.join(timeout=10)
    assert not watch.is_alive()
    assert said[-1] == "Calibrated 3 of 3 science frames."


def test_nothing_is_said_if_nothing_is_missing(tmp_path):
    (tmp_path / "a.fits").touch()
    said = []
    watch_products([tmp_path / "a.fits"], said.append, interval=0.01).join(timeout=10)
    assert said == []
