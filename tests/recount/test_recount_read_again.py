"""What `helpers.show.numbers.learn.read_again` computes from the tracked tables is what the recount counts, without a book."""

from tests.recount.recount import ROOT, disagreements
from tests.recount.recount_read_again import read_again

from helpers.analyse.questions.register import read_register
from helpers.show.numbers.learn import read_again as numbers
from helpers.table.files import read_checkpoints, read_table


def test_the_page_counted_again():
    again, measured = (read_table(ROOT / f"results/{name}.parquet").to_pandas() for name in ("unique", "measurements"))
    described, trunk = (
        read_checkpoints(ROOT / f"results/{name}.parquet").to_pandas() for name in ("unique-checkpoints", "checkpoints")
    )
    stated = numbers.numbers(again, measured) | numbers.overconfidence(described, trunk)
    stated |= numbers.registered(read_register(ROOT / "results/predictions.json"), again)
    assert disagreements(stated, read_again(), {}, {}) == []
