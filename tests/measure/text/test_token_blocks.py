import dataclasses
import logging
from pathlib import Path

import pytest
import torch
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer

from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.text import heldout as heldout_module
from helpers.table import files as results
from helpers.table.errors import CorpusError
from helpers.table.rows import EvalSpec

LOCK = corpus_lock.read_lock(ROOT / "data/corpus.lock")
TOKENIZER = Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))
NOWHERE = Path("nowhere")


def test_the_evaluation_of_stored_rows_is_still_cut_from_the_same_text():
    """Their `eval_sha256` and `eval_id` come back from the files of today, so that no stored row is measured again."""
    names = ["eval_dataset", "eval_sha256", "n_sequences", "seq_len", "eval_dtype"]
    table = results.read_table(ROOT / "results/measurements.parquet")
    stored = {(row["eval_id"], *(row[n] for n in names)) for row in table.select(["eval_id", *names]).to_pylist()}
    heldout = {row for row in stored if row[1] == corpus_lock.TEXTS["heldout"].dataset}
    assert heldout
    for eval_id, dataset, sha256, n_sequences, seq_len, dtype in heldout:
        name, blocks = token_blocks.text_blocks("heldout", LOCK, TOKENIZER, n_sequences, seq_len)
        assert (name, blocks.sha256) == (dataset, sha256)
        assert EvalSpec(name, blocks.sha256, n_sequences, seq_len, dtype).eval_id == eval_id


def test_the_second_runs_were_scored_on_the_first_half_of_the_trunks_blocks():
    """Both hashes in the table are those of blocks cut here, and the shorter evaluation is a prefix of the longer."""
    table = results.read_table(ROOT / "results/measurements.parquet")
    rows = table.select(["family", "eval_dataset", "n_sequences", "seq_len", "eval_sha256", "device_type"]).to_pylist()
    on_text = [row for row in rows if (row["eval_dataset"], row["device_type"]) == ("wheels-heldout", "cuda")]
    cut = {}
    for family, n_sequences in (("tadpole-trunk", 512), ("tadpole-mixed", 256)):
        own = [row for row in on_text if (row["family"], row["n_sequences"]) == (family, n_sequences)]
        ((sha256, seq_len),) = {(row["eval_sha256"], row["seq_len"]) for row in own}
        cut[family] = token_blocks.heldout_blocks(LOCK.evaluation, TOKENIZER, n_sequences, seq_len)
        assert cut[family].sha256 == sha256
    long, short = cut["tadpole-trunk"], cut["tadpole-mixed"]
    assert torch.equal(long.tokens[:256], short.tokens)
    assert long.documents[:256] == short.documents == (*range(128), *range(128))


def test_blocks_take_the_same_number_of_tokens_from_each_document():
    small = token_blocks.heldout_blocks(LOCK.evaluation, TOKENIZER, 128, 64)
    large = token_blocks.heldout_blocks(LOCK.evaluation, TOKENIZER, 256, 64)
    assert small.tokens.shape == (128, 65)
    assert torch.equal(large.tokens[:128], small.tokens)
    assert large.documents == (*range(128), *range(128))
    assert torch.equal(large.tokens[:128, -1], large.tokens[128:, 0])  # block 2 begins where block 1 of a document ends
    assert small.sha256 != large.sha256


def test_bytes_are_those_of_the_predicted_tokens():
    (file,) = LOCK.evaluation[:1]
    blocks = token_blocks.heldout_blocks([file], TOKENIZER, 2, 40)
    text = heldout_module.read_heldout(file)[: corpus_lock.DOCUMENT_BYTES].decode("ascii")
    ends = [end for _, end in TOKENIZER.encode(text).offsets]
    assert blocks.n_bytes == ends[80] - ends[0]


def test_the_hash_covers_tokens_documents_and_length():
    base = token_blocks.heldout_blocks(LOCK.evaluation[:4], TOKENIZER, 8, 32).sha256
    others = {
        token_blocks.heldout_blocks(LOCK.evaluation[:4], TOKENIZER, 4, 64).sha256,
        token_blocks.heldout_blocks(LOCK.evaluation[:2], TOKENIZER, 8, 32).sha256,
        token_blocks.heldout_blocks(LOCK.evaluation[3::-1], TOKENIZER, 8, 32).sha256,
    }
    assert len(others | {base}) == 4


@pytest.mark.parametrize("count", [0, 100, 640])
def test_unequal_shares_of_documents_are_refused(count):
    with pytest.raises(CorpusError, match="accepted: 128, 256, 384, 512"):
        token_blocks.heldout_blocks(LOCK.evaluation, TOKENIZER, count, 512)


def test_a_text_allows_as_many_blocks_as_its_documents_have():
    with pytest.raises(CorpusError, match=r"n_sequences is 256; accepted: 64, 128 \("):
        token_blocks.text_blocks("prose", LOCK, TOKENIZER, 256, 512)
    with pytest.raises(CorpusError, match="unknown text 'proses'; accepted: heldout, unseen, prose"):
        token_blocks.text_blocks("proses", LOCK, TOKENIZER, 128, 512)


def test_a_document_that_is_too_short_is_named():
    with pytest.raises(CorpusError, match=r"\d+ tokens, \d+ needed"):
        token_blocks.heldout_blocks(LOCK.evaluation[:1], TOKENIZER, 4, 100_000)


def test_calibration_depends_on_its_seed_and_on_nothing_else():
    state = torch.get_rng_state()
    tokens, sha256 = token_blocks.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=0)
    again, sha256_again = token_blocks.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=0)
    other, sha256_other = token_blocks.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=1)
    assert torch.equal(tokens, again)
    assert sha256 == sha256_again != sha256_other
    assert not torch.equal(tokens, other)
    assert len(tokens.unique(dim=0)) == 16
    assert torch.equal(torch.get_rng_state(), state)


def test_too_many_calibration_sequences_are_refused():
    with pytest.raises(CorpusError, match="calibration sequences: 9; accepted: 1 to 8"):
        token_blocks.calibration_tokens(LOCK.calibration[:2], TOKENIZER, 9, 64, seed=0)


def test_other_text_is_said_plainly_and_gets_another_hash(monkeypatch, caplog):
    locked = token_blocks.heldout_blocks(LOCK.evaluation[:1], TOKENIZER, 1, 64)
    changed = dataclasses.replace(LOCK.evaluation[0], path=LOCK.evaluation[1].path, package=LOCK.evaluation[1].package)
    with caplog.at_level(logging.WARNING):
        found = token_blocks.heldout_blocks([changed], TOKENIZER, 1, 64, NOWHERE)
    assert "held-out text differs from the locked one" in caplog.text
    assert found.sha256 != locked.sha256


# ---- making a lock, on five small wheels -----------------------------------------------------------------------------
