from pathlib import Path

import pytest
import yaml
from tiny import ROOT, write_sweep

from helpers.measure.sweep import plan
from helpers.measure.sweep_file import read_sweep
from helpers.specs import SpecError

GOOD = """\
name: tiny
evaluation: {{sequences: 128}}
calibration: {{sequences: 32}}
parts:
  - family: {family}
    schemes:
      - {{method: [rtn, gptq], bits: [2, 3], group_size: [32, null], symmetric: false}}
"""


def write(tmp_path: Path, family: Path, old: str = "", new: str = "") -> Path:
    path = tmp_path / "sweep.yml"
    path.write_text(GOOD.format(family=family).replace(old, new, 1))
    return path


def test_lists_stand_for_each_of_their_values(tmp_path, family):
    sweep = read_sweep(write(tmp_path, family))
    (part,) = sweep.parts
    assert len(part.checkpoints) == 2
    assert len(set(part.schemes)) == 8
    assert {scheme.rel_damp for scheme in part.schemes if scheme.method == "gptq"} == {0.01}
    assert {scheme.calib_sequences for scheme in part.schemes if scheme.method == "rtn"} == {None}


def test_a_checkpoint_named_by_two_parts_is_one_job(tmp_path, family):
    path = write(tmp_path, family)
    again = GOOD.format(family=family).split("parts:\n")[1].replace("[2, 3]", "[3, 4]")
    path.write_text(path.read_text() + again)
    jobs = plan(read_sweep(path))
    assert [job.checkpoint.step for job in jobs] == [1, 2]
    assert all(len(job.schemes) == 12 for job in jobs)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name:", "nam:", r"sweep\.yml:1: unknown key 'nam'; accepted: name, evaluation, calibration, parts"),
        ("sequences: 128", "sequence: 128", r"sweep\.yml:2: unknown key 'sequence'; accepted: sequences, seq_len"),
        (
            "sequences: 128",
            "sequences: 100",
            r"sweep\.yml: evaluation: 'sequences' is 100; accepted: 128, 256, 384, 512",
        ),
        ("sequences: 32", "sequences: 513", r"sweep\.yml: calibration: 'sequences' is 513; accepted: 1 to 512"),
        ("sequences: 128", "sequences: many", r"sweep\.yml:2: 'sequences' is 'many'; accepted: int"),
        (
            "    schemes:",
            "    scheme:",
            r"sweep\.yml:6: unknown key 'scheme'; accepted: family, schemes, models, steps",
        ),
        ("bits: [2, 3]", "bits: 9", r"sweep\.yml:7: 'bits' is 9; accepted: 2 to 8"),
        ("bits: [2, 3]", "bits: [2, 1]", r"sweep\.yml:7: 'bits' is 1; accepted: 2 to 8"),
        ("bits: [2, 3]", "bits: [2, x]", r"sweep\.yml:7: 'bits' is \[2, 'x'\]; accepted: int or list of int"),
        ("symmetric: false", "symmetric: no-way", r"sweep\.yml:7: 'symmetric' is 'no-way'; accepted: bool or list"),
        (", symmetric: false", "", r"sweep\.yml: missing key 'symmetric'"),
        ("[rtn, gptq]", "gtpq", r"sweep\.yml:7: unknown method 'gtpq'; accepted: rtn, gptq, autogptq"),
        (
            "[32, null]",
            "48",
            r"sweep\.yml:6: group_size 48 doesn't divide .*attention\.query_key_value \(32\).* in tiny",
        ),
        ("    schemes:", "    steps: [7]\n    schemes:", r"sweep\.yml:5: unknown step '7'; accepted: 1, 2"),
        ("{sequences: 128}", "[128", r"sweep\.yml:\d: not YAML"),
        ("{sequences: 128}", "128", r"sweep\.yml:2: 'evaluation' is 128; accepted: dict"),
    ],
)
def test_bad_input_is_named_with_its_line(tmp_path, family, old, new, message):
    with pytest.raises(SpecError, match=message):
        read_sweep(write(tmp_path, family, old, new))


def test_an_empty_and_a_missing_file_are_named(tmp_path):
    (tmp_path / "empty.yml").write_text("")
    with pytest.raises(SpecError, match=r"empty\.yml: None where a mapping is expected"):
        read_sweep(tmp_path / "empty.yml")
    with pytest.raises(SpecError, match=r"none\.yml: No such file"):
        read_sweep(tmp_path / "none.yml")


def test_every_group_that_does_not_divide_is_refused_at_plan_time(tmp_path, family):
    schemes = "[{method: rtn, bits: 4, group_size: 64, symmetric: true}]"
    with pytest.raises(
        SpecError, match=r"query_key_value \(32\), attention\.dense \(32\), mlp\.dense_h_to_4h \(32\) in"
    ):
        read_sweep(write_sweep(tmp_path / "s.yml", family, schemes))


@pytest.mark.parametrize("name", ["pocket", "crosscheck", "pythia"])
def test_the_committed_sweeps_can_be_planned(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert plan(read_sweep(ROOT / f"sweeps/{name}.yml"))


def test_the_pocket_sweep_has_the_promised_size(monkeypatch):
    monkeypatch.chdir(ROOT)
    sweep = read_sweep(ROOT / "sweeps/pocket.yml")
    jobs = plan(sweep)
    assert len(jobs) >= 18
    assert {len(job.schemes) for job in jobs} == {6}
    assert sweep.evaluation.sequences * sweep.evaluation.seq_len >= 65_536
    assert sweep.calibration.sequences * sweep.calibration.seq_len >= 32 * 512


def test_every_committed_sweep_is_yaml_a_reader_can_copy():
    for path in (ROOT / "sweeps").glob("*.yml"):
        assert yaml.safe_load(path.read_text())
