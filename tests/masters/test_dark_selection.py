"""What the scatter of darks tells of the electronics, by pencil and paper; simulated chips are in test_masters."""

from types import SimpleNamespace

import numpy as np
import pytest
from nightcal.masters.dark_selection import measure_read_noise


def frames_of(times, said, of_level):
    """Darks whose header says a read noise [e-], with the variance of their overscan levels [e-^2]."""
    readout = SimpleNamespace(read_variance=said**2)
    exposures = [SimpleNamespace(read_variance=said**2 + of_level, readout=readout) for _ in times]
    inputs = [
        SimpleNamespace(variance=(said**2 + of_level) / t**2, variance_per_signal=1 / t, weight=t**2) for t in times
    ]
    return exposures, inputs


@pytest.mark.parametrize("of_level", [0.0, 9.0])
@pytest.mark.parametrize("said", [5.0, 7.0, 14.0])
def test_read_noise_is_the_scatter_less_that_of_dark_current_and_overscan(said, of_level):
    times, current = [60.0] * 4, 0.3
    ratio = np.sqrt((49 + of_level + 60 * current) / (said**2 + of_level + 60 * current))
    found = measure_read_noise(*frames_of(times, said, of_level), ratio, current)
    assert found == pytest.approx(7)


@pytest.mark.parametrize("times", [[10.0] * 5 + [100.0], [30.0, 60.0, 300.0]])
def test_weights_from_a_wrong_read_noise_do_not_matter(times):
    exposures, inputs = frames_of(times, 12.0, 0.0)
    weights = np.square(times) / np.mean(np.square(times))
    current, true = 0.5, 7.0
    values = np.random.default_rng(1).normal(0, 1, (len(times), 400_000))
    values *= np.sqrt(true**2 / np.square(times) + current / np.array(times))[:, np.newaxis]
    mean = np.average(values, axis=0, weights=weights)
    scatter = np.mean(np.sum(weights[:, np.newaxis] * (values - mean) ** 2, axis=0)) / (len(times) - 1)
    model = np.mean(weights**2 * (144 / np.square(times) + current / np.array(times)))
    found = measure_read_noise(exposures, inputs, np.sqrt(scatter / model), current)
    assert found == pytest.approx(true, rel=0.01)


def test_one_dark_or_scatter_from_dark_current_alone_gives_no_read_noise():
    assert measure_read_noise(*frames_of([60.0], 7.0, 0.0), 1.0, 0.1) is None
    assert measure_read_noise(*frames_of([60.0] * 3, 7.0, 0.0), 0.1, 5.0) is None
