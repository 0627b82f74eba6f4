"""The style of figures, and the statistics side's planted laws and tables to draw."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from tests.analyse.conftest import agreement, fits, planted, rows, table, truth  # noqa: F401 (fixtures)

from helpers.show.style import use_house_style

mpl.use("Agg")


@pytest.fixture
def styled():
    """The house style while a test draws; what it drew is closed."""
    with plt.rc_context():
        use_house_style()
        yield
        plt.close("all")
