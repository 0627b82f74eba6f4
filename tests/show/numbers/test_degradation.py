import numpy as np
import pandas as pd
import pytest

from helpers.show.numbers.degradation import mean_growth

SERIES = pd.DataFrame({"bits": [3, 3, 3, 2], "start_nats": [0.01, 0.02, 0.5, 1.0], "end_nats": [0.02, 0.08, 4.0, 1e6]})


def test_the_mean_is_geometric_and_of_one_width_and_its_interval_is_students_over_runs():
    found = mean_growth(SERIES, 3)
    half = 4.302652729911275 * np.log(2) / np.sqrt(3)  # t of 2 degrees of freedom; ln 2, ln 4 and ln 8 scatter by ln 2
    assert found["growth_3"] == pytest.approx(4)
    assert found["growth_3_low"] == pytest.approx(4 * np.exp(-half))
    assert found["growth_3_high"] == pytest.approx(4 * np.exp(half))
    assert len(found) == 3
