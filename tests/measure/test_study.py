"""A study: two units trained, measured and described by three processes, into two tables."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console
from tests.measure.tiny import ROOT

from helpers.measure.study import Study, run_study
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.places import Places
from helpers.measure.training.unit import Unit
from helpers.table import files
from helpers.table.errors import SpecError
from helpers.table.readers import read_yaml

PLAN = """\
family: tiny
models:
  - {{name: tiny-32x1, d_model: 32, n_layers: 1, n_heads: 2}}
  - {{name: tiny-32x2, d_model: 32, n_layers: 2, n_heads: 2}}
peak_learning_rate: {rate}
batch_sequences: 4
seq_len: 512
warmup_steps: 4
steps: [4, 8]
"""
SWEEP = """\
name: tiny-study
evaluation: {sequences: 128, seq_len: 16}
calibration: {sequences: 8, seq_len: 16}
parts:
  - family: .cache/tiny
    schemes:
      - {method: [gptq, rtn], bits: 4, group_size: 16, symmetric: false}
  - family: .cache/tiny
    runs: [tiny-32x1, tiny-32x2]
    steps: [8]
    schemes:
      - {method: rtn, bits: 2, group_size: 16, symmetric: false}
  - {family: .cache/other, schemes: [{method: rtn, bits: 3, group_size: 16, symmetric: false}]}
"""


@pytest.fixture
def study(text, tmp_path) -> Study:
    (tmp_path / "train-tiny.yml").write_text(PLAN.format(rate=0.01))
    (tmp_path / "train-other.yml").write_text(PLAN.format(rate=0.02).replace("family: tiny", "family: other"))
    (tmp_path / "study.yml").write_text(SWEEP)
    out = tmp_path / "out"
    return Study(
        tmp_path / "study.yml",
        "cpu",
        Places(
            out / "measurements.parquet",
            out / "records",
            out / "trials.parquet",
            out / "trial-records",
            out / "checkpoints.parquet",
        ),
    )


@pytest.fixture
def unit(tmp_path) -> Callable[[str], Unit]:
    return lambda text: Unit.parse(text, tmp_path / "families")


def rows_of(study: Study) -> list[tuple]:
    names = ("family", "model", "step", "method", "bits")
    return sorted(
        tuple(str(row[name]) for name in names) for row in files.read_table(study.places.measurements).to_pylist()
    )


def test_every_unit_is_trained_measured_and_described(study, unit):
    assert run_study(study, [unit("tiny/tiny-32x1"), unit("other/tiny-32x1")], Console(quiet=True)) == []
    here = [("tiny", step, *scheme) for step in "48" for scheme in (("none", "None"), ("gptq", "4"), ("rtn", "4"))]
    expected = [*here, ("tiny", "8", "rtn", "2")]
    expected += [("other", step, *scheme) for step in "48" for scheme in (("none", "None"), ("rtn", "3"))]
    assert rows_of(study) == sorted((family, "tiny-32x1", *rest) for family, *rest in expected)
    assert pq.read_table(study.places.checkpoints).num_rows == 4


def test_a_second_run_adds_what_is_new_and_leaves_the_rest(study, unit, tmp_path):
    one, two, families = unit("tiny/tiny-32x1"), unit("tiny/tiny-32x2"), tmp_path / "families"
    run_study(study, [one], Console(quiet=True))
    weights = {path: path.stat().st_mtime_ns for path in families.rglob("*.safetensors")}
    before = files.read_table(study.places.measurements).to_pylist()
    trained = read_sweep(study.sweep, one)
    assert [[spec.step for spec in part.checkpoints] for part in trained.parts] == [[4, 8], [8]]
    with pytest.raises(SpecError, match="unknown model 'tiny-32x2'; accepted: tiny-32x1"):
        read_sweep(study.sweep, two)
    with pytest.raises(SpecError, match="unknown family '.cache/tiny'"):
        read_sweep(study.sweep)  # without a unit the family is where the sweep says
    run_study(study, [one, two], Console(quiet=True))
    after = {row["measurement_id"]: row for row in files.read_table(study.places.measurements).to_pylist()}
    assert all(after[row["measurement_id"]] == row for row in before)
    assert {row["model"] for row in after.values()} == {"tiny-32x1", "tiny-32x2"}
    assert {path: path.stat().st_mtime_ns for path in weights} == weights


@pytest.mark.parametrize(
    ("text_of_unit", "message"),
    [
        ("tiny/big", r"train-tiny\.yml: no model 'big'; accepted: tiny-32x1, tiny-32x2"),
        ("large/tiny-32x1", r"study\.yml: no family 'large'; accepted: tiny, other"),
        ("tiny", "'tiny' isn't a unit; accepted: FAMILY/MODEL"),
    ],
)
def test_a_unit_that_is_off_is_named_before_anything_is_trained(study, unit, text_of_unit, message, tmp_path):
    with pytest.raises(SpecError, match=message):
        run_study(study, [unit("tiny/tiny-32x1"), unit(text_of_unit)], Console(quiet=True))
    assert not (tmp_path / "families").exists()


@pytest.mark.parametrize("sweep", ["study", "study-two"])
def test_a_committed_study_names_what_the_plans_train(sweep):
    from helpers.measure.sweep.declaration import family_names
    from helpers.measure.training.plan import read_plan

    for name in family_names(ROOT / f"sweeps/{sweep}.yml"):
        assert read_plan(ROOT / f"sweeps/train-{name}.yml").family == name


def test_the_second_study_measures_checkpoints_that_its_plans_have():
    """Every cooldown's end too: its step is among those that its family's parts name."""
    from helpers.measure.training.plan import read_plan

    measured = {}
    for part in read_yaml(ROOT / "sweeps/study-two.yml")["parts"]:
        measured.setdefault(Path(part["family"]).name, set()).update(part["steps"])
    assert len(measured) == 9
    for name, steps in measured.items():
        plan = read_plan(ROOT / f"sweeps/train-{name}.yml")
        ends = {branch.steps[-1] for run in plan.runs() for branch in plan.branches(run)}
        assert ends <= steps <= {*plan.steps}
        assert plan.steps[-1] in steps
