import pytest
from tests.table.families.counted import n_params, settings_of
from transformers import LlamaConfig

from helpers.table.families import datadecide

(DATADECIDE,) = datadecide.FAMILIES
RUNS = {run.name: run for run in DATADECIDE.runs}
# With the output head, without the token embedding: MODEL_TO_PARAMETERS of allenai/DataDecide
PRINTED = {
    "4M": 3_744_832,
    "6M": 6_010_464,
    "8M": 8_538_240,
    "10M": 9_900_432,
    "14M": 14_380_224,
    "16M": 16_004_560,
    "20M": 19_101_888,
    "60M": 57_078_144,
    "90M": 97_946_640,
    "150M": 151_898_880,
    "300M": 319_980_544,
    "530M": 530_074_944,
    "750M": 681_297_408,
    "1B": 1_176_832_000,
}


@pytest.mark.parametrize("size", PRINTED)
def test_parameters_are_those_of_the_repository(size):
    run = RUNS[f"DataDecide-c4-{size}"]
    assert DATADECIDE.n_params_total(run) - run.vocabulary_size * run.d_model == PRINTED[size]


def test_parameters_are_those_of_transformers():
    run = RUNS["DataDecide-c4-90M"]
    assert n_params(LlamaConfig(**settings_of(run))) == (
        DATADECIDE.n_params_total(run),
        DATADECIDE.n_params_non_embedding(run),
    )


def test_25_texts_of_14_sizes_and_three_seeds_of_the_small_ones():
    assert len(set(datadecide.TEXTS)) == 25
    assert len({run.model for run in DATADECIDE.runs}) == 25 * 14
    assert len(RUNS) == len(DATADECIDE.runs) == 25 * (10 * 3 + 4)


@pytest.mark.parametrize(
    ("run", "step", "revision"),
    [
        ("DataDecide-c4-1B", 69_369, "step69369-seed-default"),
        ("DataDecide-c4-150M", 37_500, "step37500-seed-default"),
        ("DataDecide-c4-60M-small-aux-2", 6250, "step6250-seed-small-aux-2"),
        ("DataDecide-c4-4M-small-aux-3", 5725, "step5725-seed-small-aux-3"),
    ],
)
def test_revisions_are_named_as_on_the_hub(run, step, revision):
    assert step in RUNS[run].steps
    spec = DATADECIDE.checkpoint(RUNS[run], step)
    assert (spec.revision, spec.location) == (revision, f"allenai/{RUNS[run].model}")


def test_an_end_that_sources_disagree_on_is_left_out():
    assert RUNS["DataDecide-c4-530M"].steps[-1] == 57_500
    assert RUNS["DataDecide-dclm-baseline-qc-10p-300M"].steps[-1] == 45_000
    assert RUNS["DataDecide-c4-300M"].steps[-1] == 45_787


def test_tokens_are_a_hundred_a_parameter_of_the_sizes_name():
    for size, tokens in (("150M", 15e9), ("1B", 100e9)):
        assert DATADECIDE.checkpoint(
            RUNS[f"DataDecide-c4-{size}"], RUNS[f"DataDecide-c4-{size}"].steps[-1]
        ).tokens_seen == (pytest.approx(tokens, rel=1e-3))


def test_rates_are_known_at_the_end_alone():
    run = RUNS["DataDecide-c4-4M"]
    assert run.peak_learning_rate == pytest.approx(1.4e-2, rel=0.05), "the paper's table"
    assert DATADECIDE.checkpoint(run, 5725).lr_fraction == pytest.approx(0.01)
    assert DATADECIDE.checkpoint(run, 5000).learning_rate is None
    assert [DATADECIDE.checkpoint(run, step).lr_phase for step in (2500, 3750, 5725)] == [None, "decay", "decay"]


def test_seeds_are_apart_and_the_default_is_unknown():
    seeds = [
        spec.train_seed for spec in DATADECIDE.checkpoints() if spec.model == "DataDecide-c4-20M" and spec.step == 0
    ]
    assert seeds == [None, 14, 15]
