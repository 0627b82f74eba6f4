"""What a job's rows are, known before its weights are here: their keys, and which of them are measured."""

from collections.abc import Collection, Iterable

from helpers.measure.models.checkpoints import LocalCheckpoint, tokenizer_of
from helpers.measure.sweep.declaration import Sweep
from helpers.measure.sweep.jobs import BASELINE, Job, Prepared
from helpers.measure.sweep.rows import Subject
from helpers.measure.text.corpus_lock import CorpusLock
from helpers.measure.text.tokenized import Source, evaluation_blocks, with_calibration
from helpers.table.rows import EvalSpec
from helpers.table.scheme import QuantScheme


def prepared_of(
    job: Job, local: LocalCheckpoint, sweep: Sweep, lock: CorpusLock | None, device: str, done: Collection[str]
) -> Prepared:
    """Return a job with what its rows share and those that `done` lacks; its model isn't opened.

    `local` need not have its weights. `lock` is the book's texts', None where the sweep has texts of its own.
    Raises CheckpointError for a tokenizer that can't be had, CorpusError without a text.
    """
    source = Source(lock, tokenizer_of(local.folder).to_str(), sweep.own_texts)
    declared = sweep.evaluation
    subjects = []
    for name in declared.texts:
        dataset, blocks = evaluation_blocks(source, name, declared.sequences, declared.seq_len)
        evaluation = EvalSpec(dataset, blocks.sha256, len(blocks.tokens), declared.seq_len, declared.dtype)
        subjects.append(Subject(job.checkpoint, local, evaluation, blocks, device))
    schemes = dict(with_calibration(scheme, source) for scheme in job.schemes)
    return Prepared(subjects, schemes, missing(subjects, schemes, done))


def missing(subjects: list[Subject], schemes: Iterable[QuantScheme], done: Collection[str]) -> list[list[QuantScheme]]:
    """Return, for each text, the schemes whose rows `done` lacks, the baseline among them."""
    wanted = (BASELINE, *schemes)
    return [[scheme for scheme in wanted if subject.row_id(scheme) not in done] for subject in subjects]
