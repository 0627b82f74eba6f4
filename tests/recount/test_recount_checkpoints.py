"""What `helpers.show.numbers.checkpoints` computes from the tracked tables is what the recounts count, without a book."""

import pandas as pd
from tests.recount import recount_03
from tests.recount.recount import ROOT, disagreements

from helpers.analyse.rows.study import on_trunk, rows_of_every_run, study_rows
from helpers.show.numbers import checkpoints as numbers
from helpers.table.files import read_checkpoints, read_table


def compared(stated, *parts):
    counted = {key: value for part in parts for key, value in part.items() if key in stated}
    excepted = {key: why for key, why in recount_03.EXCEPTED.items() if key in stated}
    return disagreements(stated, counted, excepted, {})


def test_losses_plans_and_passes_counted_again():
    described = read_checkpoints(ROOT / "results/checkpoints.parquet").to_pandas()
    trained = described[described["n_averaged"] == 1]
    trunk = trained[on_trunk(trained)]
    stated = numbers.held_fixed(trained, trunk) | numbers.of_mixed(trained) | numbers.text_read(trained, trunk)
    assert compared(stated, recount_03.tadpoles(), recount_03.mixed(), recount_03.passes()) == []
    measured = read_table(ROOT / "results/measurements.parquet").to_pandas()
    losses = rows_of_every_run(measured).query("method == 'none' and n_averaged == 1")
    baselines = study_rows(losses)
    models = [rows for _, rows in losses.groupby("model") if {"cooldown", "cosine"} <= set(rows["schedule"])]
    both = [rows["n_params_non_embedding"].iloc[0] for rows in models]
    stated = numbers.curves(baselines) | numbers.seeds_and_depths(losses, both)
    stated |= numbers.decay(numbers.beside_trunk(losses, baselines))
    assert compared(stated, recount_03.curves(), recount_03.decay(), recount_03.seeds(), recount_03.depths()) == []


def test_accuracy_of_public_models_counted_again():
    public = pd.read_csv(ROOT / "data/published/pythia_public_evals.csv").query("deduped and metric == 'acc'")
    assert compared(numbers.public_accuracy(public[public["tokens_seen"] > 0]), recount_03.published()) == []
