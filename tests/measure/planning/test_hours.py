"""Hours from the engine's benchmarks: the rule against the timed works themselves, and at its edges."""

import dataclasses
import json

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.planning.hours import Clock, Timed, read_clock
from helpers.table.errors import ResultsError
from helpers.table.families import catalogue
from helpers.table.scheme import QuantScheme

GPTQ = QuantScheme(
    "gptq", bits=3, group_size=128, symmetric=True, rel_damp=0.01, calib_sequences=128, calib_seq_len=2048, calib_seed=0,
    hessian_dtype="bfloat16", propagate="quantized",
)  # fmt: skip


def timed(**other) -> Timed:
    work = Timed("small", "A", 1000, 500, 100, 200, 20, "bfloat16", "bfloat16", 2.0, 3.0, 7.0)
    return dataclasses.replace(work, **other)


def spec_of(n_blocks: int, width: int = 10, vocabulary_size: int = 50):
    spec = catalogue.checkpoints("pythia", ["pythia-14m"], [1000], "test")[0]
    return dataclasses.replace(spec, n_params_non_embedding=n_blocks, d_model=width, vocabulary_size=vocabulary_size)


def scheme(**other) -> QuantScheme:
    return dataclasses.replace(GPTQ, **({"calib_sequences": 10, "calib_seq_len": 10} | other))


def test_a_timed_work_takes_what_it_took():
    clock = read_clock(None, ROOT / "benchmarks/results/engine.json")
    rows = json.loads((ROOT / "benchmarks/results/engine.json").read_text())["rows"]
    row = next(row for row in rows if row["work"] == "pythia-410m" and row["hessian_dtype"] == "bfloat16")
    spec = catalogue.checkpoints("pythia", ["pythia-410m"], [1000], "test")[0]
    assert clock.gpu == row["gpu"]
    assert clock.rounding(spec, GPTQ) == pytest.approx(row["seconds_rounding"])
    four = 4 * clock.scoring(spec, 256 * 2048, "bfloat16")  # three rounded models and the 16-bit one
    assert four == pytest.approx(3 * row["seconds_scoring"])
    assert clock.compiling(spec) == row["seconds_first_result"]
    assert not clock.is_beyond(spec)


def test_time_is_in_proportion_to_parameters_and_tokens():
    clock = Clock("A", (timed(),))
    assert clock.rounding(spec_of(1000), scheme()) == 2.0
    assert clock.rounding(spec_of(2000), scheme()) == 4.0
    assert clock.rounding(spec_of(1000), scheme(calib_sequences=30)) == 6.0
    assert clock.scoring(spec_of(1000), 200, "bfloat16") == 3.0
    assert clock.scoring(spec_of(2500), 100, "bfloat16") == 3.0  # 3,000 parameters with the head, half of the tokens
    assert clock.rounding(spec_of(1000), QuantScheme("rtn", bits=3, group_size=None, symmetric=True)) == 0.0


def test_the_nearest_work_in_the_format_that_it_was_timed_in():
    clock = Clock(
        "A",
        (
            timed(),
            timed(rounding_dtype="float32", rounding_seconds=5.0),
            timed(work="large", n_blocks=100_000, rounding_seconds=100.0),
        ),
    )
    assert clock.rounding(spec_of(1000), scheme(hessian_dtype="float32")) == 5.0
    assert clock.rounding(spec_of(1000), scheme(hessian_dtype="tfloat32")) == 4.0  # twice bfloat16's
    assert clock.scoring(spec_of(1000), 200, "float32") == 9.0
    assert clock.rounding(spec_of(9_000), scheme()) == pytest.approx(18.0)
    assert clock.rounding(spec_of(11_000), scheme()) == pytest.approx(11.0)  # nearer to the large one, as a ratio
    assert [clock.is_beyond(spec_of(n)) for n in (999, 1000, 100_000, 100_001)] == [True, False, False, True]
    with pytest.raises(ResultsError, match="small: not timed in bfloat16"):
        Clock("A", (timed(scoring_dtype="float32"),)).scoring(spec_of(1000), 1, "tfloat32")


def test_the_gpu_of_this_machine_where_it_was_timed(tmp_path):
    path = tmp_path / "engine.json"
    rows = json.loads((ROOT / "benchmarks/results/engine.json").read_text())["rows"][:1]
    path.write_text(
        json.dumps({"rows": [*rows, rows[0] | {"gpu": "mine"}, rows[0] | {"gpu": "part", "whole_work": False}]})
    )
    assert read_clock("mine", path).gpu == "mine"
    assert read_clock("part", path).gpu == read_clock(None, path).gpu == rows[0]["gpu"]
    assert read_clock(None, tmp_path / "none.json") is None
    path.write_text(json.dumps({"rows": [{"work": "x"}]}))
    with pytest.raises(ResultsError, match="not what a benchmark writes"):
        read_clock(None, path)
