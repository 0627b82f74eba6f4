"""What `helpers.show.numbers.degradation` computes from the tracked tables is what the recounts count, without a book."""

import pytest
from tests.recount import recount_04, recount_92
from tests.recount.recount import ROOT, disagreements

from helpers.analyse.questions.twins import qid_ratio
from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.selection import rows_of_fit
from helpers.analyse.rows.study import FITTED_BITS, GROUP_SIZE, UNSEEN, study_rows
from helpers.show.numbers import degradation as numbers
from helpers.table.files import read_table


@pytest.fixture(scope="module")
def measured():
    return read_table(ROOT / "results/measurements.parquet").to_pandas()


def test_the_chapter_counted_again(measured):
    stated = numbers.stated(degradation(study_rows(measured)), degradation(study_rows(measured, UNSEEN)))
    parts = [recount_04.shown(), recount_04.tokens(), recount_04.early(), recount_04.sizes(), recount_04.bits()]
    counted = {
        key: value for part in [*parts, recount_04.eight(), recount_04.exercise()] for key, value in part.items()
    }
    assert disagreements(stated, counted, {}, {}) == []


def test_what_the_appendix_says_of_kl_and_other_rounding_counted_again(measured):
    study = degradation(study_rows(measured))
    every_width = rows_of_fit(study, "gptq", GROUP_SIZE, symmetric=False)
    gptq = every_width[every_width["bits"].isin(FITTED_BITS)]
    coarse = {is_so: qid_ratio(rows_of_fit(study, "gptq", 128, is_so), gptq) for is_so in (False, True)}
    stated = numbers.in_kl(numbers.late(every_width)) | numbers.larger_groups(coarse)
    stated |= numbers.to_nearest(rows_of_fit(study, "rtn", GROUP_SIZE, symmetric=False), gptq)
    counted = recount_92.rules() | recount_92.in_kl() | recount_92.schemes()
    assert disagreements(stated, counted, {}, {}) == []
