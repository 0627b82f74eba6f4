import dataclasses
import hashlib
import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tests.measure.tiny import write_checkpoint

from helpers.measure.describing import checkpoint_rows, weight_statistics
from helpers.measure.describing.checkpoint_rows import Sample, describe_family, previous_of
from helpers.measure.models import checkpoints
from helpers.measure.text import token_blocks
from helpers.measure.training.folder import write_manifest
from helpers.table import files as results
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CorpusError, ResultsError, SpecError
from helpers.table.families import catalogue

SAMPLE = Sample(
    heldout_seq_len=16, calib_sequences=2, calib_seq_len=16, hessian_sequences=4, hessian_seq_len=8, hessian_probes=2
)
BRANCH = {"branched_from": "tiny", "branched_at_step": 1}


def describe(family: Path, table: Path) -> checkpoint_rows.Report:
    return describe_family(family, table, "cpu", Console(quiet=True), SAMPLE)


def rows_of(table: Path) -> dict[tuple[str, int], dict]:
    return {(row["run"], row["step"]): row for row in results.read_checkpoints(table).to_pylist()}


def matrices_in(folder: Path) -> list[torch.Tensor]:
    """The linear layers' weights in a folder, blocks in order, layers in order."""
    weights = load_file(folder / "model.safetensors")
    layers = ("attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h")
    return [weights[f"gpt_neox.layers.{block}.{layer}.weight"].float() for block in range(2) for layer in layers]


@pytest.fixture(scope="module")
def remembered() -> dict:
    return {}


@pytest.fixture(autouse=True)
def _texts_are_cut_once(remembered, monkeypatch):
    """Every family here has the same tokenizer."""

    def once(function):
        def cut(files, tokenizer, *extent):
            key = (function.__name__, *extent)
            if key not in remembered:
                remembered[key] = function(files, tokenizer, *extent)
            return remembered[key]

        return cut

    for name in ("heldout_blocks", "calibration_tokens"):
        monkeypatch.setattr(token_blocks, name, once(getattr(token_blocks, name)))


@pytest.fixture
def branched(family: Path) -> Path:
    """A run with steps 1 and 2, one that branches off at step 1, one whose trunk isn't there, and an average."""
    write_checkpoint(family, "tiny-cooldown1", 2, seed=11, **BRANCH)
    write_checkpoint(family, "tiny-cooldown1", 3, seed=12, **BRANCH)
    write_checkpoint(family, "tiny-cooldown9", 10, seed=13, branched_from="tiny", branched_at_step=9)
    write_checkpoint(family, "tiny-average5", 2, seed=14, branched_from="tiny", branched_at_step=2, n_averaged=5)
    write_manifest(family)
    return family


def test_a_row_holds_what_the_manifest_and_the_weights_say(family, tmp_path):
    table = tmp_path / "t.parquet"
    assert describe(family, table) == checkpoint_rows.Report(2, 0, ())
    row = rows_of(table)["tiny", 2]
    sha256 = hashlib.sha256((family / "tiny/step-000002/model.safetensors").read_bytes()).hexdigest()
    assert (row["weights_sha256"], row["checkpoint_id"]) == (sha256, sha256[:16])
    spec = catalogue.read_manifest(family)[1]
    shared = {field.name for field in dataclasses.fields(spec)} & set(row)
    assert {field.name for field in dataclasses.fields(spec)} - shared == {"location", "revision", "architecture"}
    assert {name: row[name] for name in shared} == {name: getattr(spec, name) for name in shared}
    assert (row["loss_nats"], row["epochs"], row["lr_fraction"]) == (7.0, 2000 / 50_000, 0.5)
    matrices = matrices_in(family / "tiny/step-000002")
    assert row["matrices"][5] == "1.attention.dense"
    for name, function in checkpoint_rows.STATISTICS.items():
        assert row[name] == torch.stack([function(m) for m in matrices]).float().tolist()
    assert row["rtn_error_2_bits"][0] > 1.8 * row["rtn_error_3_bits"][0] > 3.2 * row["rtn_error_4_bits"][0]
    assert len(row["input_kurtosis"]) == len(row["input_max_over_rms"]) == 8
    assert min(row["input_max_over_rms"]) > 1
    # nearly even predictions of 1024 tokens
    assert 0 < row["logit_entropy_nats"] < 6.94
    assert sum(row["hessian_trace_by_block"]) == pytest.approx(row["hessian_trace"], rel=1e-6)
    assert row["hessian_trace_se"] > 0
    assert (row["hessian_probes"], row["hessian_sequences"], row["hessian_seq_len"]) == (2, 4, 8)


def test_weight_changes_follow_the_runs(branched, tmp_path):
    describe(branched, tmp_path / "t.parquet")
    rows = rows_of(tmp_path / "t.parquet")
    previous = {place: row["previous_step"] for place, row in rows.items()}
    assert previous == {
        ("tiny", 1): None,
        ("tiny", 2): 1,
        ("tiny-cooldown1", 2): 1,
        ("tiny-cooldown1", 3): 2,
        ("tiny-cooldown9", 10): None,
        ("tiny-average5", 2): None,
    }
    against = {
        ("tiny", 2): "tiny/step-000001",
        ("tiny-cooldown1", 2): "tiny/step-000001",
        ("tiny-cooldown1", 3): "tiny-cooldown1/step-000002",
    }
    for (run, step), before in against.items():
        pairs = zip(matrices_in(branched / run / f"step-{step:06d}"), matrices_in(branched / before), strict=True)
        expected = torch.stack([weight_statistics.relative_distance(*pair) for pair in pairs]).float().tolist()
        assert rows[run, step]["weight_change"] == expected
    assert all(rows[place]["weight_change"] is None for place, step in previous.items() if step is None)


def test_the_previous_checkpoint_is_the_last_one_before():
    def spec(run: str, step: int, **fields) -> CheckpointSpec:
        empty = {f.name: 0 for f in dataclasses.fields(CheckpointSpec) if f.default is dataclasses.MISSING}
        return CheckpointSpec(**empty | {"run": run, "step": step} | fields)

    specs = [spec("a", 4), spec("a", 1), spec("a", 2), spec("b", 3), spec("b", 8, branched_from="a")]
    assert previous_of(specs[0], specs) == specs[2]
    assert previous_of(specs[1], specs) is None
    assert previous_of(specs[4], specs) == specs[3]
    branch = spec("c", 5, branched_from="a", branched_at_step=2)
    assert previous_of(branch, [*specs, branch]) == specs[2]


def test_a_rerun_describes_nothing_and_leaves_the_bytes(branched, tmp_path, monkeypatch):
    table = tmp_path / "t.parquet"
    describe(branched, table)
    before = table.read_bytes()
    monkeypatch.setattr(checkpoints, "load", lambda *_: pytest.fail("a checkpoint was loaded again"))
    assert describe(branched, table) == checkpoint_rows.Report(0, 6, ())
    assert table.read_bytes() == before


def test_a_table_made_in_two_goes_has_the_bytes_of_one(branched, tmp_path):
    """The second go lacks one run and one checkpoint of another; what is there stays as it was."""
    describe(branched, tmp_path / "one.parquet")
    rows = results.read_checkpoints(tmp_path / "one.parquet").to_pylist()
    kept = [row for row in rows if row["run"] != "tiny-cooldown1" and (row["run"], row["step"]) != ("tiny", 1)]
    results.write_table(tmp_path / "two.parquet", kept, checkpoint_rows.CheckpointRow)
    assert describe(branched, tmp_path / "two.parquet") == checkpoint_rows.Report(3, 3, ())
    assert (tmp_path / "two.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


def test_rows_of_other_families_stay(family, tmp_path):
    table = tmp_path / "t.parquet"
    other = tmp_path / "other"
    shutil.copytree(family, other)
    for seed in (21, 22):
        write_checkpoint(other, "tiny", seed, seed=seed, family="another")
    for step in (1, 2):
        shutil.rmtree(other / f"tiny/step-{step:06d}")
    write_manifest(other)
    describe(family, table)
    assert describe(other, table) == checkpoint_rows.Report(2, 0, ())
    rows = results.read_checkpoints(table).to_pylist()
    assert [(row["family"], row["step"]) for row in rows] == [
        ("another", 21),
        ("another", 22),
        ("tiny", 1),
        ("tiny", 2),
    ]


def test_a_checkpoint_that_cant_be_described_is_named_and_stops_no_other(family, tmp_path):
    write_checkpoint(family, "tiny", 3, seed=3)
    write_checkpoint(family, "tiny-infinite", 1, seed=4)
    infinite = family / "tiny-infinite/step-000001"
    weights = load_file(infinite / "model.safetensors")
    weights["gpt_neox.layers.0.attention.dense.weight"][0, 0] = float("inf")
    save_file(weights, infinite / "model.safetensors", metadata={"format": "pt"})
    described = json.loads((infinite / "checkpoint.json").read_text())
    described["weights_sha256"] = hashlib.sha256((infinite / "model.safetensors").read_bytes()).hexdigest()
    (infinite / "checkpoint.json").write_text(json.dumps(described))
    write_manifest(family)
    (family / "tiny/step-000003/model.safetensors").write_bytes(b"altered")
    report = describe(family, tmp_path / "t.parquet")
    assert set(rows_of(tmp_path / "t.parquet")) == {("tiny", 1), ("tiny", 2)}
    assert (report.n_described, report.n_present) == (2, 0)
    assert len(report.failures) == 2
    assert report.failures[0].startswith("tiny@3: ")
    assert "weights are altered or truncated" in report.failures[0]
    assert report.failures[1].endswith("tiny-infinite/step-000001: nonfinite weights")


def test_missing_text_is_an_error_of_its_own(family, tmp_path):
    """It would be the same for every checkpoint."""
    with pytest.raises(CorpusError, match="n_sequences is 100"):
        describe_family(family, tmp_path / "t.parquet", "cpu", Console(quiet=True), Sample(heldout_sequences=100))


def test_bad_arguments_are_refused_before_any_work(family, tmp_path):
    with pytest.raises(SpecError, match=r"manifest\.json: No such file"):
        describe(tmp_path / "nowhere", tmp_path / "t.parquet")
    with pytest.raises(SpecError, match="device 'tpu'; accepted: cpu"):
        describe_family(family, tmp_path / "t.parquet", "tpu", Console(quiet=True))
    with results.exclusive(tmp_path / "t.parquet"), pytest.raises(ResultsError, match="another process"):
        describe(family, tmp_path / "t.parquet")
    assert not (tmp_path / "t.parquet").exists()


def test_what_is_no_number_of_a_zero_matrix_is_null(family, tmp_path):
    folder = family / "tiny/step-000002"
    weights = load_file(folder / "model.safetensors")
    weights["gpt_neox.layers.1.attention.dense.weight"].zero_()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    entry = json.loads((folder / "checkpoint.json").read_text())
    entry["weights_sha256"] = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    (folder / "checkpoint.json").write_text(json.dumps(entry))
    write_manifest(family)
    assert describe(family, tmp_path / "t.parquet") == checkpoint_rows.Report(2, 0, ())
    row = rows_of(tmp_path / "t.parquet")["tiny", 2]
    assert row["rtn_error_2_bits"][5] is None
    assert row["weight_rms"][5] == 0
    numbers = [each for value in row.values() for each in (value if isinstance(value, list) else [value])]
    assert not [each for each in numbers if isinstance(each, float) and not math.isfinite(each)]


def test_whatever_goes_wrong_with_a_checkpoint_is_its_failure(family, tmp_path, monkeypatch):
    real = checkpoint_rows._Describer.row

    def broken(self, spec, local):
        if spec.step == 1:
            raise KeyError("rope_type")
        return real(self, spec, local)

    monkeypatch.setattr(checkpoint_rows._Describer, "row", broken)
    expected = checkpoint_rows.Report(1, 0, ("tiny@1: can't be used (KeyError: 'rope_type')",))
    assert describe(family, tmp_path / "t.parquet") == expected
