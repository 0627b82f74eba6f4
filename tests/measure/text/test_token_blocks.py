import dataclasses
import hashlib
import importlib.metadata
import logging
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer

from helpers.measure.text import corpus_lock, token_blocks
from helpers.measure.text import heldout as heldout_module
from helpers.measure.training.corpus import (
    NearDuplicates,
    describe_wheel,
    description,
    make_lock,
    train_tokenizer,
    training_documents,
    training_tokens,
    write_lock,
)
from helpers.table import files as results
from helpers.table.errors import CorpusError
from helpers.table.rows import EvalSpec

LOCK = corpus_lock.read_lock(ROOT / "data/corpus.lock")
TOKENIZER = Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))
NOWHERE = Path("nowhere")


def test_the_locked_text_is_what_is_installed_here():
    for file in (*LOCK.evaluation, *LOCK.calibration):
        assert hashlib.sha256(heldout_module.read_heldout(file, NOWHERE)).hexdigest() == file.sha256, file


def test_the_locked_descriptions_are_what_is_installed_here():
    installed = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
    here = [file for file in LOCK.prose if installed.get(file.package) == file.version]
    assert len(here) > 16
    for file in here:
        assert hashlib.sha256(heldout_module.read_heldout(file, NOWHERE)).hexdigest() == file.sha256, file


def test_no_file_is_in_two_splits_and_the_splits_are_wide():
    splits = (LOCK.evaluation, LOCK.calibration, LOCK.unseen, LOCK.prose)
    documents = [(file.package, file.path) for split in splits for file in split]
    assert len(set(documents)) == len(documents)
    assert len(LOCK.calibration) == corpus_lock.DOCUMENTS_PER_SPLIT
    assert len({file.package for file in LOCK.evaluation}) >= 64
    assert len({file.package for file in LOCK.unseen}) >= 24
    hashes = [file.sha256 for split in splits for file in split]
    assert len(set(hashes)) == len(hashes)


def test_every_text_has_as_many_documents_as_it_says():
    for text in corpus_lock.TEXTS.values():
        assert len(getattr(LOCK, text.split)) == text.n_documents


def test_unseen_packages_are_none_that_training_reads():
    """By normalized name, and a package by another name isn't the same wheel."""
    seen, unseen = (
        {heldout_module._normalized(w.package) for w in wheels} for wheels in (LOCK.wheels, LOCK.unseen_wheels)
    )
    assert not seen & unseen
    assert {heldout_module._normalized(file.package) for file in LOCK.unseen} == unseen
    assert {heldout_module._normalized(file.package) for file in LOCK.prose} <= seen
    assert all(wheel.filename.endswith("none-any.whl") for wheel in LOCK.unseen_wheels)


def test_the_training_text_is_the_one_tadpoles_were_trained_on():
    assert LOCK.training_sha256 == "6f66bf03695145a3b0f57d57ecd54db84f18bdf32134d0cae357c588ad13642f"
    assert (len(LOCK.wheels), LOCK.n_training_documents, LOCK.n_training_bytes) == (198, 46_545, 659_321_839)


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


def test_every_wheel_is_named_with_version_hash_and_licence():
    assert len(LOCK.wheels) > 100
    for wheel in (*LOCK.wheels, *LOCK.unseen_wheels):
        assert all((wheel.package, wheel.version, wheel.licence))
        assert len(wheel.sha256) == 64
        assert wheel.filename.endswith(".whl")


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


def test_a_missing_package_and_a_missing_file_are_named():
    with pytest.raises(CorpusError, match=r"no-such-package 1\.0 isn't installed; .*`make corpus` downloads it"):
        heldout_module.read_heldout(corpus_lock.HeldoutFile("no-such-package", "1.0", "a.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match=r"rich .* lacks rich/none\.py, .*`make corpus` downloads that"):
        heldout_module.read_heldout(corpus_lock.HeldoutFile("rich", "1.0", "rich/none.py", "0" * 64), NOWHERE)
    with pytest.raises(CorpusError, match="run from the repository's top folder"):
        corpus_lock.read_lock(NOWHERE / "corpus.lock")


def locked(package: str, path: str, document: bytes) -> corpus_lock.HeldoutFile:
    return corpus_lock.HeldoutFile(package, "1.0", path, hashlib.sha256(document).hexdigest())


@pytest.fixture
def downloaded(tmp_path) -> Path:
    """A cache with one wheel, of a package that isn't installed, with Windows line ends in its metadata."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels/Not_Installed-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("a.py", "x = 1\n")
        archive.writestr("rich/console.py", "x = 2\n")
        archive.writestr("not_installed-1.0.dist-info/METADATA", b"Name: not-installed\r\n\r\nWhat\r\n\r\nit is\r\n")
    return tmp_path


def test_a_document_is_read_from_a_downloaded_wheel_where_nothing_else_has_it(downloaded):
    file = locked("not.installed", "a.py", b"x = 1\n")
    assert heldout_module.read_heldout(file, downloaded) == b"x = 1\n"
    for other in (locked("not.installed", "a.py", b"x = 3\n"), locked("installed", "a.py", b"x = 1\n")):
        with pytest.raises(CorpusError, match="isn't installed"):
            heldout_module.read_heldout(other, downloaded)
    (downloaded / "heldout").mkdir()
    (downloaded / "heldout" / file.sha256).write_bytes(b"kept")
    assert heldout_module.read_heldout(file, downloaded) == b"kept"


def test_the_locked_document_of_a_wheel_comes_before_another_that_is_installed(downloaded, caplog):
    file = locked("rich", "rich/console.py", b"x = 2\n")
    wheel = downloaded / "wheels/Not_Installed-1.0-py3-none-any.whl"
    wheel.rename(wheel.with_name("rich-1.0-py3-none-any.whl"))
    assert heldout_module.read_heldout(file, downloaded) == b"x = 2\n"
    assert not caplog.records


def test_of_metadata_the_description_is_the_document(downloaded):
    text = b"What\n\nit is\n"
    assert (
        heldout_module.read_heldout(locked("not-installed", "not_installed-1.0.dist-info/METADATA", text), downloaded)
        == text
    )


# ---- making a lock, on five small wheels -----------------------------------------------------------------------------


def source(seed: int, lines: int = 900) -> str:
    words = np.random.default_rng(seed).integers(0, 10**6, lines)
    return "".join(f"value_{word} = {word}  # line {seed}\n" for word in words)


def write_wheel(folder: Path, package: int, description: str, files: dict[str, str | bytes]) -> None:
    with zipfile.ZipFile(folder / f"p{package}-1.0-py3-none-any.whl", "w") as archive:
        head = f"Metadata-Version: 2.1\nName: P{package}\nVersion: 1.0\nLicense: MIT\n"
        archive.writestr(f"p{package}-1.0.dist-info/METADATA", f"{head}\n{description}")
        for name, content in files.items():
            archive.writestr(f"p{package}/{name}", content)


@pytest.fixture
def wheels(tmp_path, monkeypatch):
    """Three wheels: enough long files to hold out, one near-duplicate across wheels, one exact one.

    The first one's description is nearly one of its files, the others' are nearly the same; a fourth has nothing but a
    description. The last is for unseen text: its only files that no other wheel has, or nearly has, are two.
    """
    monkeypatch.setattr("helpers.measure.training.corpus.DOCUMENTS_PER_SPLIT", 2)
    monkeypatch.setattr("helpers.measure.training.corpus.PROSE_DOCUMENTS", 2)
    for package in range(3):
        files = {f"m{number}.py": source(10 * package + number) for number in range(4)}
        files |= {"same.py": source(77), "near.py": source(88) + f"edited = {package}\n"}
        files |= {"tiny.py": "x = 1\n", "latin.py": b"# caf\xe9\n" * 100}
        write_wheel(tmp_path, package, source(60 if package else 1) + f"P{package}\n", files)
    write_wheel(tmp_path, 3, source(61), {})
    copies = {f"m{number}.py": source(number) for number in range(4)}
    copies |= {"same.py": source(77), "near.py": source(88) + "edited = 9\n"}
    write_wheel(tmp_path, 9, source(50), copies | {"new.py": source(91), "newer.py": source(92), "tiny.py": "y = 1\n"})
    return tmp_path


def lock_of(wheels: Path) -> corpus_lock.CorpusLock:
    return make_lock(wheels, {"p0", "p1", "p2"}, {"p9"}, TOKENIZER)


def test_unseen_text_is_near_nothing_that_training_reads_or_evaluation_has(wheels):
    lock = lock_of(wheels)
    assert [wheel.package for wheel in lock.unseen_wheels] == ["P9"]
    assert [wheel.package for wheel in lock.wheels] == ["P0", "P1", "P2", "P3"]
    assert {(file.package, file.path) for file in lock.unseen} == {("P9", "p9/new.py"), ("P9", "p9/newer.py")}


def test_prose_is_the_descriptions_that_are_near_nothing_else(wheels):
    lock = lock_of(wheels)
    assert [file.path for file in lock.prose] == ["p1-1.0.dist-info/METADATA", "p3-1.0.dist-info/METADATA"]
    (wheels / "wheels").mkdir()
    for wheel in wheels.glob("*.whl"):
        wheel.rename(wheels / "wheels" / wheel.name)
    texts = [heldout_module.read_heldout(file, wheels).decode() for file in lock.prose]
    assert texts == [source(60) + "P1\n", source(61)]


@pytest.mark.parametrize(("text", "n_found"), [(source(1), 1), (source(1, lines=20), 0), (source(1) + "café", 0)])
def test_a_description_is_long_and_in_ascii(tmp_path, text, n_found):
    write_wheel(tmp_path, 0, text, {})
    wheel = describe_wheel(tmp_path / "p0-1.0-py3-none-any.whl")
    assert len(list(description(wheel, tmp_path, TOKENIZER))) == n_found


def test_a_lock_splits_without_overlap_and_drops_near_duplicates(wheels, tmp_path):
    lock = lock_of(wheels)
    write_lock(lock, tmp_path / "corpus.lock")
    assert corpus_lock.read_lock(tmp_path / "corpus.lock") == lock
    documents = training_documents(lock, wheels)
    held = {
        content.decode("latin-1")
        for wheel in lock.wheels
        for path, content in heldout_module.wheel_documents(wheel, wheels)
        if (wheel.package, path) in {(f.package, f.path) for f in (*lock.evaluation, *lock.calibration)}
    }
    assert len(held) == 4
    assert not held & set(documents)
    candidates = [text for text in (*held, *documents) if text.startswith("value")]
    assert len(candidates) == 12 + 1 + 1  # the plain files, one of the same, one of the near-duplicates
    assert lock.n_training_documents == len(documents) == 10


def test_training_text_that_differs_from_the_lock_is_refused(wheels):
    lock = lock_of(wheels)
    with pytest.raises(CorpusError, match=r"training text differs from data/corpus\.lock"):
        training_documents(dataclasses.replace(lock, training_sha256="0"), wheels)
    (wheels / "p1-1.0-py3-none-any.whl").write_bytes(b"other")
    with pytest.raises(CorpusError, match="sha256 differs"):
        training_documents(lock, wheels)
    (wheels / "p1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(CorpusError, match=r"missing; `make corpus` downloads"):
        training_documents(lock, wheels)


def test_training_tokens_are_built_once_and_separated(wheels, tmp_path):
    lock = lock_of(wheels)
    cache = tmp_path / "cache"
    (cache / "wheels").mkdir(parents=True)
    for wheel in wheels.glob("*.whl"):
        wheel.rename(cache / "wheels" / wheel.name)
    tokens = training_tokens(lock, TOKENIZER, cache)
    end = TOKENIZER.token_to_id(corpus_lock.END_OF_TEXT)
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


def test_held_out_files_are_kept_where_a_bare_machine_reads_them(tmp_path, monkeypatch):
    few = dataclasses.replace(
        LOCK, evaluation=LOCK.evaluation[:2], calibration=LOCK.calibration[:1], unseen=(), prose=()
    )
    assert heldout_module.keep_heldout(few, tmp_path) == 3
    monkeypatch.setattr(token_blocks, "_installed", lambda file: (None, None))
    for file in (*few.evaluation, *few.calibration):
        assert hashlib.sha256(heldout_module.read_heldout(file, tmp_path)).hexdigest() == file.sha256
    other = dataclasses.replace(few, evaluation=(dataclasses.replace(few.evaluation[0], sha256="0" * 64),))
    monkeypatch.undo()
    with pytest.raises(CorpusError, match="installed in another version"):
        heldout_module.keep_heldout(other, tmp_path)
