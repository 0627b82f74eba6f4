import numpy as np
import pytest

from helpers.show.claims import claim


def test_a_claim_that_holds_says_nothing_and_another_is_named():
    claim(np.bool_(True), "QiD rises")
    with pytest.raises(ValueError, match="QiD rises in every run"):
        claim(False, "QiD rises in every run")
