"""Windows cut from documents: order, equal numbers, passages of long texts, what is too short."""

import pytest

from helpers.measure.text.windows import FEW, cut
from helpers.table.errors import CorpusError


def documents(*lengths: int) -> list[list[int]]:
    """Return documents of these lengths; token t of document d is 1000 d + t."""
    return [[1000 * d + t for t in range(length)] for d, length in enumerate(lengths)]


def test_a_window_has_one_token_more_than_are_predicted_and_none_is_padded():
    found = cut(documents(*[11] * FEW), FEW, 10, "text")
    assert found.rows[1] == tuple(range(1000, 1011))
    assert found.documents == tuple(range(FEW))
    assert not found.of_passages


def test_further_windows_come_after_the_first_of_every_document_and_overlap_by_a_token():
    found = cut(documents(*[21] * FEW), 2 * FEW, 10, "text")
    assert found.documents == tuple(range(FEW)) * 2
    assert found.rows[FEW] == tuple(range(10, 21))
    assert found.rows[0][-1] == found.rows[FEW][0]


def test_every_document_gives_as_many_windows_and_short_ones_none():
    found = cut(documents(*[21] * FEW, 20, 11, 5), 2 * FEW, 10, "text")
    assert sorted(found.documents.count(d) for d in set(found.documents)) == [2] * FEW
    assert all(row[0] < 1000 * FEW for row in found.rows)


@pytest.mark.parametrize(("n_sequences", "each"), [(20, 1), (24, 1), (47, 1), (48, 2), (72, 3), (1000, 4)])
def test_more_windows_of_a_document_come_only_where_every_document_has_its_first(n_sequences, each):
    found = cut(documents(*[51] * 24), n_sequences, 10, "text")
    assert len(found.rows) == min(n_sequences, 24 * each)
    assert {found.documents.count(d) for d in set(found.documents)} == {each}


def test_of_many_documents_some_are_taken_at_equal_distances():
    found = cut(documents(*[11] * 100), 20, 10, "text")
    assert [row[0] for row in found.rows] == [5000 * i for i in range(20)]


def test_of_one_long_document_passages_stand_for_documents():
    found = cut(documents(10 * 4 * FEW + 1), 4 * FEW, 10, "text")
    assert found.of_passages
    assert found.n_documents == FEW
    assert [row[0] for row in found.rows[:3]] == [0, 40, 80]
    assert len({token for row in found.rows for token in row}) == 10 * 4 * FEW + 1


def test_of_a_short_document_passages_are_single_windows():
    found = cut(documents(31), 64, 10, "text")
    assert [row[0] for row in found.rows] == [0, 10, 20]
    assert found.n_documents == 3


@pytest.mark.parametrize("lengths", [(20,), (10, 10, 10), (), (0,)])
def test_what_gives_less_than_two_is_refused_with_the_length_needed(lengths):
    with pytest.raises(CorpusError) as caught:
        cut(documents(*lengths), 64, 10, "mine.txt")
    longest = max(lengths, default=0)
    assert str(caught.value) == (
        f"mine.txt: too short, its longest document has {longest} tokens;"
        " needed: 2 passages or documents of 11 tokens or more"
    )
