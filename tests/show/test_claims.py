import pytest

from helpers.show.claims import claim


def test_a_claim_that_holds_says_nothing_and_one_that_does_not_is_an_error_with_its_sentence():
    claim(True, "all series rise")
    with pytest.raises(ValueError, match="^all series rise$"):
        claim(False, "all series rise")
