import json

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.text import corpus_lock
from helpers.measure.text import heldout as heldout_module
from helpers.table.errors import SpecError

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


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("package", "--index-url=file:///elsewhere"),
        ("package", "rich\n--no-index"),
        ("package", "rich @ file:///elsewhere/rich.whl"),
        ("package", ""),
        ("version", "1.0 --no-index"),
        ("version", "1.0\n"),
        ("version", "1.0,!=1.0; python_version < '3'"),
        ("filename", "../rich-1.0-py3-none-any.whl"),
        ("filename", "/rich.whl"),
        ("filename", "-rich.whl"),
        ("filename", "rich.txt"),
        ("sha256", "0" * 63),
        ("sha256", "../" + "0" * 61),
        ("sha256", "0" * 64 + " --no-index"),
    ],
)
def test_an_entry_that_would_hand_pip_an_option_or_leave_its_folder_is_refused(tmp_path, field, value):
    raw = json.loads((ROOT / "data/corpus.lock").read_text())
    for where in ("wheels", "unseen_wheels", "evaluation", "prose"):
        changed = [dict(entry) for entry in raw[where]]
        if field not in changed[3]:
            continue
        changed[3][field] = value
        (tmp_path / "corpus.lock").write_text(json.dumps(raw | {where: changed}))
        with pytest.raises(SpecError, match=rf"corpus\.lock: {where}: '{field}' is .*; accepted: "):
            corpus_lock.read_lock(tmp_path / "corpus.lock")


@pytest.mark.parametrize("path", ["/etc/hostname", "../x.py", "a/../../x.py", "", "a\nb.py"])
def test_a_document_lies_in_its_package(path):
    with pytest.raises(SpecError, match="'path' is .*; accepted: a path inside of the package"):
        corpus_lock.HeldoutFile("rich", "1.0", path, "0" * 64)
