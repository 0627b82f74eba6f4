import pytest

from helpers.table.corpus import packages
from helpers.table.errors import AnalysisError


def test_packages_come_from_the_lock(tmp_path):
    lock = tmp_path / "corpus.lock"
    lock.write_text('{"unseen": [{"package": "b"}, {"package": "a"}, {"package": "b"}]}')
    assert packages("unseen", lock) == ["b", "a", "b"]
    with pytest.raises(AnalysisError, match="no packages of prose"):
        packages("prose", lock)
