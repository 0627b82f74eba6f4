from tests.measure.tiny import ROOT

from helpers.measure.text import corpus_lock
from helpers.measure.text import heldout as heldout_module

LOCK = corpus_lock.read_lock(ROOT / "data/corpus.lock")


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


def test_every_wheel_is_named_with_version_hash_and_licence():
    assert len(LOCK.wheels) > 100
    for wheel in (*LOCK.wheels, *LOCK.unseen_wheels):
        assert all((wheel.package, wheel.version, wheel.licence))
        assert len(wheel.sha256) == 64
        assert wheel.filename.endswith(".whl")
