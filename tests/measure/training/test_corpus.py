import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer

from helpers.measure.text import corpus_lock
from helpers.measure.text import heldout as heldout_module
from helpers.measure.training.corpus import (
    NearDuplicates,
    Packages,
    describe_wheel,
    description,
    make_lock,
    read_packages,
    train_tokenizer,
    training_documents,
    training_tokens,
    write_lock,
)
from helpers.table.errors import CorpusError

TOKENIZER = Tokenizer.from_file(str(ROOT / "data/tadpole/tokenizer.json"))


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
    return make_lock(wheels, Packages(("p0", "p1", "p2"), ("p9",)), TOKENIZER)


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


def test_the_project_s_lists_of_packages_are_those_of_its_lock():
    lock, packages = corpus_lock.read_lock(ROOT / "data/corpus.lock"), read_packages(ROOT / "data/corpus-packages.yml")
    assert {wheel.package.lower() for wheel in lock.unseen_wheels} == set(packages.unseen)
    assert {file.package.lower() for file in (*lock.evaluation, *lock.calibration)} == set(packages.held_out)


@pytest.mark.parametrize("text", ["", "held_out: [a]", "held_out: [a\n", "held_out: [a]\nunseen: [1]"])
def test_lists_of_packages_that_are_none_are_refused(tmp_path, text):
    (tmp_path / "packages.yml").write_text(text)
    with pytest.raises(CorpusError, match="packages.yml: not the two lists"):
        read_packages(tmp_path / "packages.yml")


def test_lists_of_packages_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(CorpusError, match="packages.yml: not the two lists"):
        read_packages(tmp_path / "packages.yml")
