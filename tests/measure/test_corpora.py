import dataclasses
import hashlib
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import ROOT
from tokenizers import Tokenizer

from helpers.measure import corpora
from helpers.measure.training_text import (
    NearDuplicates,
    make_lock,
    train_tokenizer,
    training_documents,
    training_tokens,
    write_lock,
)
from helpers.specs import CorpusError

LOCK = corpora.read_lock(ROOT / "data/corpus.lock")
TOKENIZER = Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))
NOWHERE = Path("nowhere")


def test_the_locked_text_is_what_is_installed_here():
    for file in (*LOCK.evaluation, *LOCK.calibration):
        assert hashlib.sha256(corpora.read_heldout(file, NOWHERE)).hexdigest() == file.sha256, file


def test_no_file_is_in_two_splits_and_the_splits_are_wide():
    evaluation, calibration = ({(f.package, f.path) for f in s} for s in (LOCK.evaluation, LOCK.calibration))
    assert not evaluation & calibration
    assert len(evaluation) == len(calibration) == corpora.DOCUMENTS_PER_SPLIT
    assert len({package for package, _ in evaluation}) >= 64
    hashes = [file.sha256 for file in (*LOCK.evaluation, *LOCK.calibration)]
    assert len(set(hashes)) == len(hashes)


def test_every_wheel_is_named_with_version_hash_and_licence():
    assert len(LOCK.wheels) > 100
    for wheel in LOCK.wheels:
        assert all((wheel.package, wheel.version, wheel.licence))
        assert len(wheel.sha256) == 64
        assert wheel.filename.endswith(".whl")


def test_blocks_take_the_same_number_of_tokens_from_each_document():
    small = corpora.heldout_blocks(LOCK.evaluation, TOKENIZER, 128, 64)
    large = corpora.heldout_blocks(LOCK.evaluation, TOKENIZER, 256, 64)
    assert small.tokens.shape == (128, 65)
    assert torch.equal(large.tokens[:128], small.tokens)
    assert large.documents == (*range(128), *range(128))
    assert torch.equal(large.tokens[:128, -1], large.tokens[128:, 0])  # block 2 begins where block 1 of a document ends
    assert small.sha256 != large.sha256


def test_bytes_are_those_of_the_predicted_tokens():
    (file,) = LOCK.evaluation[:1]
    blocks = corpora.heldout_blocks([file], TOKENIZER, 2, 40)
    text = corpora.read_heldout(file)[: corpora.DOCUMENT_BYTES].decode("ascii")
    ends = [end for _, end in TOKENIZER.encode(text).offsets]
    assert blocks.n_bytes == ends[80] - ends[0]


def test_the_hash_covers_tokens_documents_and_length():
    base = corpora.heldout_blocks(LOCK.evaluation[:4], TOKENIZER, 8, 32).sha256
    others = {
        corpora.heldout_blocks(LOCK.evaluation[:4], TOKENIZER, 4, 64).sha256,
        corpora.heldout_blocks(LOCK.evaluation[:2], TOKENIZER, 8, 32).sha256,
        corpora.heldout_blocks(LOCK.evaluation[3::-1], TOKENIZER, 8, 32).sha256,
    }
    assert len(others | {base}) == 4


@pytest.mark.parametrize("count", [0, 100, 640])
def test_unequal_shares_of_documents_are_refused(count):
    with pytest.raises(CorpusError, match="accepted: 128, 256, 384, 512"):
        corpora.heldout_blocks(LOCK.evaluation, TOKENIZER, count, 512)


def test_a_document_that_is_too_short_is_named():
    with pytest.raises(CorpusError, match=r"\d+ tokens, \d+ needed"):
        corpora.heldout_blocks(LOCK.evaluation[:1], TOKENIZER, 4, 100_000)


def test_calibration_depends_on_its_seed_and_on_nothing_else():
    state = torch.get_rng_state()
    tokens, sha256 = corpora.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=0)
    again, sha256_again = corpora.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=0)
    other, sha256_other = corpora.calibration_tokens(LOCK.calibration, TOKENIZER, 16, 64, seed=1)
    assert torch.equal(tokens, again)
    assert sha256 == sha256_again != sha256_other
    assert not torch.equal(tokens, other)
    assert len(tokens.unique(dim=0)) == 16
    assert torch.equal(torch.get_rng_state(), state)


def test_too_many_calibration_sequences_are_refused():
    with pytest.raises(CorpusError, match="calibration sequences: 9; accepted: 1 to 8"):
        corpora.calibration_tokens(LOCK.calibration[:2], TOKENIZER, 9, 64, seed=0)


def test_other_text_is_said_plainly_and_gets_another_hash(monkeypatch, caplog):
    locked = corpora.heldout_blocks(LOCK.evaluation[:1], TOKENIZER, 1, 64)
    changed = dataclasses.replace(LOCK.evaluation[0], path=LOCK.evaluation[1].path, package=LOCK.evaluation[1].package)
    with caplog.at_level(logging.WARNING):
        found = corpora.heldout_blocks([changed], TOKENIZER, 1, 64, NOWHERE)
    assert "held-out text differs from the locked one" in caplog.text
    assert found.sha256 != locked.sha256


def test_a_missing_package_and_a_missing_file_are_named():
    with pytest.raises(CorpusError, match=r"no-such-package 1\.0 isn't installed"):
        corpora.read_heldout(corpora.HeldoutFile("no-such-package", "1.0", "a.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match=r"rich .* lacks rich/none\.py"):
        corpora.read_heldout(corpora.HeldoutFile("rich", "1.0", "rich/none.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match="run from the repository's top folder"):
        corpora.read_lock(NOWHERE / "corpus.lock")


# ---- making a lock, on three small wheels ----------------------------------------------------------------------------


def source(seed: int, lines: int = 900) -> str:
    words = np.random.default_rng(seed).integers(0, 10**6, lines)
    return "".join(f"value_{word} = {word}  # line {seed}\n" for word in words)


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Three wheels: enough long files to hold out, one near-duplicate across wheels, one exact one."""
    import zipfile

    monkeypatch.setattr("helpers.measure.training_text.DOCUMENTS_PER_SPLIT", 2)
    for package in range(3):
        with zipfile.ZipFile(tmp_path / f"p{package}-1.0-py3-none-any.whl", "w") as archive:
            head = f"Metadata-Version: 2.1\nName: p{package}\nVersion: 1.0\nLicense: MIT\n"
            archive.writestr(f"p{package}-1.0.dist-info/METADATA", head)
            for number in range(4):
                archive.writestr(f"p{package}/m{number}.py", source(10 * package + number))
            archive.writestr(f"p{package}/same.py", source(77))
            archive.writestr(f"p{package}/near.py", source(88) + f"edited = {package}\n")
            archive.writestr(f"p{package}/tiny.py", "x = 1\n")
            archive.writestr(f"p{package}/latin.py", b"# caf\xe9\n" * 100)
    return tmp_path


def test_a_lock_splits_without_overlap_and_drops_near_duplicates(wheels, tmp_path):
    lock = make_lock(wheels, {"p0", "p1", "p2"})
    write_lock(lock, tmp_path / "corpus.lock")
    assert corpora.read_lock(tmp_path / "corpus.lock") == lock
    documents = training_documents(lock, wheels)
    held = {
        content.decode("latin-1")
        for wheel in lock.wheels
        for path, content in corpora.wheel_documents(wheel, wheels)
        if (wheel.package, path) in {(f.package, f.path) for f in (*lock.evaluation, *lock.calibration)}
    }
    assert len(held) == 4
    assert not held & set(documents)
    candidates = [text for text in (*held, *documents) if text.startswith("value")]
    assert len(candidates) == 12 + 1 + 1  # the plain files, one of the same, one of the near-duplicates
    assert lock.n_training_documents == len(documents) == 10


def test_training_text_that_differs_from_the_lock_is_refused(wheels):
    lock = make_lock(wheels, {"p0", "p1", "p2"})
    with pytest.raises(CorpusError, match=r"training text differs from data/corpus\.lock"):
        training_documents(dataclasses.replace(lock, training_sha256="0"), wheels)
    (wheels / "p1-1.0-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(CorpusError, match="sha256 differs"):
        training_documents(lock, wheels)
    (wheels / "p1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(CorpusError, match=r"missing; `make corpus` downloads"):
        training_documents(lock, wheels)


def test_training_tokens_are_built_once_and_separated(wheels, tmp_path):
    lock = make_lock(wheels, {"p0", "p1", "p2"})
    cache = tmp_path / "cache"
    (cache / "wheels").mkdir(parents=True)
    for wheel in wheels.glob("*.whl"):
        wheel.rename(cache / "wheels" / wheel.name)
    tokens = training_tokens(lock, TOKENIZER, cache)
    end = TOKENIZER.token_to_id(corpora.END_OF_TEXT)
    assert (tokens == end).sum() == lock.n_training_documents
    assert len(TOKENIZER.decode(tokens[tokens != end].tolist()).encode()) == lock.n_training_bytes
    for wheel in (cache / "wheels").iterdir():
        wheel.unlink()
    assert np.array_equal(training_tokens(lock, TOKENIZER, cache), tokens)


def test_near_duplicates_are_told_by_their_lines():
    seen = NearDuplicates()
    text = source(1)
    assert seen.add_if_new(text.encode())
    assert not seen.add_if_new(text.replace("# line", "#  line", 20).encode())
    assert seen.add_if_new(source(2).encode())


def test_the_tokenizer_is_deterministic_and_gives_back_any_bytes():
    texts = [source(seed) for seed in range(3)]
    one, two = train_tokenizer(texts), train_tokenizer(texts)
    assert one.to_str() == two.to_str()
    sample = "def f(x):\n\treturn 'naïve — 漢字' * x  # 🙂\n"
    assert TOKENIZER.decode(TOKENIZER.encode(sample).ids) == sample
    assert TOKENIZER.get_vocab_size() == 1024
