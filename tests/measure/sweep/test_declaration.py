import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from tests.measure.tiny import ROOT, write_sweep
from transformers import LlamaConfig, PretrainedConfig, Qwen2MoeConfig, T5Config

from helpers.measure.rounding import methods
from helpers.measure.rounding.methods import rtn
from helpers.measure.sweep.declaration import read_sweep
from helpers.measure.sweep.jobs import plan
from helpers.measure.training.unit import Unit
from helpers.table.errors import SpecError
from helpers.table.families.catalogue import HUB_FAMILIES
from helpers.table.records import key_of

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


def test_keys_left_out_say_what_older_sweeps_said(tmp_path, family):
    """Their schemes keep their ids: what is at its default isn't in the key."""
    sweep = read_sweep(write(tmp_path, family))
    (scheme,) = [s for s in sweep.parts[0].schemes if (s.method, s.bits, s.group_size) == ("gptq", 3, 32)]
    assert key_of(scheme) == {
        "method": "gptq",
        "bits": 3,
        "group_size": 32,
        "symmetric": False,
        "rel_damp": 0.01,
        "calib_sequences": 32,
        "calib_seq_len": 512,
        "calib_seed": 0,
    }
    assert sweep.evaluation.dtype == "float32"
    assert list(sweep.evaluation.texts) == ["heldout"]


@pytest.mark.parametrize(
    ("sequences", "texts"), [(512, ["heldout", "unseen"]), (64, ["prose"]), (128, ["prose", "unseen", "heldout"])]
)
def test_texts_are_read_in_order_with_as_many_sequences_as_all_of_them_have(tmp_path, family, sequences, texts):
    path = write(tmp_path, family, "sequences: 128", f"sequences: {sequences}, texts: [{', '.join(texts)}]")
    evaluation = read_sweep(path).evaluation
    assert (evaluation.sequences, list(evaluation.texts)) == (sequences, texts)


def test_grid_search_and_order_are_one_value_or_several(tmp_path, family):
    schemes = "[{method: gptq, bits: 3, group_size: 32, symmetric: true, grid_search: mse, order: [given, activation]}]"
    (part,) = read_sweep(write_sweep(tmp_path / "s.yml", family, schemes)).parts
    assert [(s.format, s.grid_search, s.order) for s in part.schemes] == [
        ("int", "mse", "given"),
        ("int", "mse", "activation"),
    ]


def test_format_is_one_value_or_several(tmp_path, family):
    schemes = "[{method: rtn, bits: 4, group_size: 32, symmetric: true, format: [int, mxint, mxfp]}]"
    (part,) = read_sweep(write_sweep(tmp_path / "s.yml", family, schemes)).parts
    assert [scheme.format for scheme in part.schemes] == ["int", "mxint", "mxfp"]


def test_dtypes_go_into_the_evaluation_and_into_calibrated_schemes(tmp_path, family):
    path = write(tmp_path, family, "sequences: 32", "sequences: 32, dtype: bfloat16")
    path.write_text(path.read_text().replace("sequences: 128", "sequences: 128, dtype: tfloat32"))
    sweep = read_sweep(path)
    assert sweep.evaluation.dtype == "tfloat32"
    found = {(scheme.method, scheme.hessian_dtype) for scheme in sweep.parts[0].schemes}
    assert found == {("rtn", "float32"), ("gptq", "bfloat16")}


def test_what_a_method_makes_no_use_of_is_not_in_its_schemes(tmp_path, family):
    schemes = "[{method: [rtn, gptq, awq], bits: 3, group_size: 32, symmetric: true, rel_damp: 0.05, calib_seed: 7}]"
    (part,) = read_sweep(write_sweep(tmp_path / "s.yml", family, schemes)).parts
    found = {s.method: (s.rel_damp, s.calib_seed, s.calib_sequences, s.propagate) for s in part.schemes}
    assert found == {
        "rtn": (None, None, None, "quantized"),
        "gptq": (0.05, 7, 4, "quantized"),
        "awq": (None, 7, 4, "full_precision"),
    }


def test_options_go_to_the_methods_that_use_them_and_old_keys_stay(tmp_path, family):
    schemes = """
      - {method: [rtn, gwq], bits: 3, group_size: 16, symmetric: false, outlier_share: [0.01, 0.1]}
      - {method: cmpq, format: codebook, bits: 4, group_size: null, symmetric: false, average_bits: [3, 2.5],
         outlier_share: 0.1}
      - {method: [gptq, rtn, crossquant], bits: 8, group_size: null, symmetric: true, activation_format: int,
         activation_bits: 8, activation_exponent: 0}
      - {method: rtn, bits: 4, group_size: 32, symmetric: true, format: mxint, activation_format: mxint,
         activation_bits: 4, activation_group_size: [16, null]}
"""
    path = tmp_path / "s.yml"
    write_sweep(path, family, schemes)
    expected = [
        {"method": "rtn", "bits": 3, "group_size": 16, "symmetric": False},
        {"method": "rtn", "bits": 3, "group_size": 16, "symmetric": False},
        *(
            {"method": "gwq", "bits": 3, "group_size": 16, "symmetric": False, "outlier_share": share}
            | {"calib_sequences": 1, "calib_seq_len": 32, "calib_seed": 0, "propagate": "full_precision"}
            for share in (0.01, 0.1)
        ),
        *(
            {"method": "cmpq", "bits": 4, "symmetric": False, "format": "codebook", "average_bits": mean}
            | {"outlier_share": 0.1, "calib_sequences": 4, "calib_seq_len": 32, "calib_seed": 0}
            | {"propagate": "full_precision"}
            for mean in (3.0, 2.5)
        ),
        {"method": "gptq", "bits": 8, "symmetric": True, "rel_damp": 0.01}
        | {"calib_sequences": 4, "calib_seq_len": 32, "calib_seed": 0},
        *(
            {"method": method, "bits": 8, "symmetric": True}
            | {"activation_format": "int", "activation_bits": 8, "activation_exponent": 0.0}
            for method in ("rtn", "crossquant")
        ),
        *(
            {"method": "rtn", "bits": 4, "group_size": 32, "symmetric": True, "format": "mxint"}
            | {"activation_format": "mxint", "activation_bits": 4}
            | group
            for group in ({"activation_group_size": 16}, {})
        ),
    ]
    found = read_sweep(path).parts[0].schemes
    assert [key_of(scheme) for scheme in found] == expected
    assert all(type(scheme.average_bits) is float for scheme in found if scheme.method == "cmpq")  # 3 is another key


def test_the_sweep_of_the_seven_can_be_run(family):
    """Its family is trained elsewhere; on tiny models, whose group must be 32."""
    raw = yaml.safe_load((ROOT / "sweeps/seven.yml").read_text())
    path = family.parent / "seven.yml"
    raw["parts"][0]["family"] = str(family)
    path.write_text(yaml.safe_dump(raw))
    sweep = read_sweep(path)
    assert len(sweep.parts[0].schemes) == len({scheme.scheme_id for scheme in sweep.parts[0].schemes}) == 23


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
            r"sweep\.yml:2: 'sequences' is 100; accepted: 128, 256, 384, 512",
        ),
        ("sequences: 32", "sequences: 513", r"sweep\.yml:3: 'sequences' is 513; accepted: 1 to 512"),
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
        (
            "[rtn, gptq]",
            "gtpq",
            rf"sweep\.yml:7: unknown method 'gtpq'; accepted: {', '.join(sorted(methods.every_method()))}$",
        ),
        (
            "[32, null]",
            "48",
            r"sweep\.yml:7: rtn 2 bits g48 asymmetric on tiny: group_size 48 doesn't divide the input width of "
            r"attention\.query_key_value \(32\), .*; accepted: a divisor of 32, or null",
        ),
        ("    schemes:", "    steps: [7]\n    schemes:", r"sweep\.yml:5: unknown step '7'; accepted: 1, 2"),
        (
            "symmetric: false",
            "symmetric: false, activation_bits: 8",
            r"sweep\.yml:7: 'activation_bits' without 'activation_format'; accepted: mxint, int",
        ),
        (
            "symmetric: false",
            "symmetric: false, activation_format: mxint, activation_bits: 8, activation_group_size: 24",
            r"sweep\.yml:7: .* on tiny: activation_group_size 24 doesn't divide the input width of .*; accepted: a divisor "
            r"of 32, or null for one scale a token",
        ),
        (
            "[rtn, gptq], bits: [2, 3]",
            "gwq, bits: 3",
            r"sweep\.yml:7: gwq 3 bits .*: gwq: 'outlier_share' is null; accepted: more than 0, less than 1",
        ),
        (
            "symmetric: false",
            "symmetric: false, outlier_share: most",
            r"sweep\.yml:7: 'outlier_share' is 'most'; accepted: float or list of float or null",
        ),
        (
            "symmetric: false",
            "symmetric: false, format: int3",
            r"sweep\.yml:7: 'format' is 'int3'; accepted: int, mxint",
        ),
        (
            "symmetric: false",
            "symmetric: false, format: 8",
            r"sweep\.yml:7: 'format' is 8; accepted: str or list of str",
        ),
        (
            "symmetric: false",
            "symmetric: false, grid_search: [minmax, l1]",
            r"sweep\.yml:7: 'grid_search' is 'l1'; accepted: minmax, mse",
        ),
        (
            "symmetric: false",
            "symmetric: false, order: up",
            r"sweep\.yml:7: 'order' is 'up'; accepted: given, activation",
        ),
        (
            "symmetric: false",
            "symmetric: false, propagate: quantized",
            r"sweep\.yml:7: unknown key 'propagate'; accepted: method, bits, .* format, grid_search, order",
        ),
        (
            "sequences: 128",
            "sequences: 128, dtype: float16",
            r"sweep\.yml:2: 'dtype' is 'float16'; accepted: float32, tfloat32, bfloat16",
        ),
        (
            "sequences: 32",
            "sequences: 32, dtype: half",
            r"sweep\.yml:3: 'dtype' is 'half'; accepted: float32, tfloat32, bfloat16",
        ),
        ("sequences: 32", "sequences: 32, dtype: 16", r"sweep\.yml:3: 'dtype' is 16; accepted: str"),
        (
            "{sequences: 128}",
            "\n  sequences: 128\n  texts: [heldout, seen]",
            r"sweep\.yml:4: 'texts' is \['heldout', 'seen'\]; accepted: one or more of heldout, unseen, prose, "
            "refinedweb, wikitext2, c4, each once, or hf://",
        ),
        (
            "sequences: 128",
            "sequences: 128, texts: []",
            r"sweep\.yml:2: 'texts' is \[\]; accepted: one or more of held",
        ),
        (
            "sequences: 128",
            "sequences: 128, texts: [prose, prose]",
            r"sweep\.yml:2: 'texts' is \['prose', 'prose'\]; accepted: one or more of .*, each once",
        ),
        ("sequences: 128", "sequences: 128, texts: prose", r"sweep\.yml:2: 'texts' is 'prose'; accepted: list of str"),
        (
            "sequences: 128",
            "sequences: 512, texts: [heldout, prose]",
            r"sweep\.yml:2: 'sequences' is 512; accepted: 64, 128 \(of the text prose\)",
        ),
        ("{sequences: 128}", "[128", r"sweep\.yml:\d: not YAML"),
        (
            "{sequences: 128}",
            "{sequences: 128, sequences: 256}",
            r"sweep\.yml:2: not YAML \(key 'sequences' is there twice",
        ),
        ("{sequences: 128}", "{sequences: 128, seq_len: 0}", r"sweep\.yml:2: 'seq_len' is 0; accepted: 1 to 12000"),
        ("{sequences: 32}", "{sequences: 32, seq_len: -5}", r"sweep\.yml:3: 'seq_len' is -5; accepted: 1 to 12000"),
        (
            "symmetric: false",
            "symmetric: false, rel_damp: .nan",
            r"sweep\.yml:\d: 'rel_damp' is nan; accepted: 0 to 100",
        ),
        ("symmetric: false", "symmetric: false, calib_seed: -1", r"sweep\.yml:\d: 'calib_seed' is -1; accepted: 0 to"),
        ("name: tiny", "null: tiny", r"sweep\.yml:1: not YAML \('null' as a key isn't a text"),
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
        SpecError, match=r"query_key_value \(32\), attention\.dense \(32\), mlp\.dense_h_to_4h \(32\); accepted"
    ):
        read_sweep(write_sweep(tmp_path / "s.yml", family, schemes))


# ---- refusals at plan time -------------------------------------------------------------------------------------------


def give_config(family: Path, step: int, config: PretrainedConfig) -> None:
    """Make a checkpoint of `family` one of another architecture, as far as a plan looks: its weights are gone."""
    folder = family / f"tiny/step-{step:06d}"
    (folder / "model.safetensors").unlink()
    config.save_pretrained(folder)


SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
TOKENS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LLAMA = LlamaConfig(**SMALL, **TOKENS, intermediate_size=48)
RTN = "[{{method: rtn, bits: 4, group_size: {}, symmetric: true}}]"


def test_a_group_must_divide_the_widths_of_any_architecture(tmp_path, family):
    """Each step is looked at: only the second one is a Llama, whose width of 48 the group of 32 doesn't divide."""
    give_config(family, 2, LLAMA)
    assert read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(16)))
    with pytest.raises(
        SpecError,
        match=r"s\.yml:6: rtn 4 bits g32 symmetric on tiny: group_size 32 doesn't divide the input width of "
        r"mlp\.down_proj \(48\); accepted: a divisor of 16, or null for one scale a row$",
    ):
        read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(32)))


@pytest.mark.parametrize(
    ("name", "group_size", "refusal"),
    [
        ("pythia", 96, r"pythia-14m: group_size 96 .* attention\.query_key_value \(128\),.*a divisor of 128"),
        ("olmo-2", 96, r"OLMo-2-0425-1B: group_size 96 .* self_attn\.q_proj \(2048\),.*a divisor of 2048"),
        ("smollm2", 128, r"SmolLM2-135M: group_size 128 .* self_attn\.o_proj \(576\),.*a divisor of 192"),
        ("datadecide", 128, r"DataDecide-dolma1_7-4M: group_size 128 .* self_attn\.q_proj \(64\),.*a divisor of 64"),
        ("gemstones", 512, r"Gemstone-256x23: group_size 512 .* self_attn\.q_proj \(256\),.*a divisor of 256"),
    ],
)
def test_a_group_must_divide_the_widths_of_a_hub_family_without_its_files(tmp_path, name, group_size, refusal):
    path = write_sweep(tmp_path / "s.yml", name, RTN.format(group_size))
    with pytest.raises(SpecError, match=rf"s\.yml:6: rtn 4 bits g{group_size} symmetric on {refusal}"):
        read_sweep(path)


@pytest.mark.parametrize("size", ["4M", "6M", "10M", "14M", "16M", "20M", "90M", "530M"])
def test_groups_of_128_do_not_divide_the_widths_of_eight_of_datadecides_sizes(tmp_path, size):
    model = f"DataDecide-c4-{size}"
    path = write_sweep(tmp_path / "s.yml", f"datadecide\n    models: [{model}]", RTN.format(128))
    with pytest.raises(SpecError, match=rf"{model}: group_size 128 doesn't divide the input width of"):
        read_sweep(path)


@pytest.mark.parametrize("name", sorted(HUB_FAMILIES))
def test_every_hub_family_refuses_a_group_at_plan_time(tmp_path, name):
    with pytest.raises(SpecError, match=rf"s\.yml:6: rtn 4 bits g7 symmetric on {HUB_FAMILIES[name].runs[0].model}: "):
        read_sweep(write_sweep(tmp_path / "s.yml", name, RTN.format(7)))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (Qwen2MoeConfig(**SMALL, **TOKENS, num_key_value_heads=2), r"found: also mlp\.gate\.weight"),
        (T5Config(), "no causal language model can be made of T5Config"),
    ],
)
def test_an_unknown_structure_is_known_before_any_work_and_stops_no_other(tmp_path, family, config, reason):
    give_config(family, 2, config)
    declared = read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(32)))
    (failure,) = declared.failures
    assert re.fullmatch(f"tiny@2: .*{reason}.*", failure)
    assert [spec.step for spec in declared.parts[0].checkpoints] == [1]
    give_config(family, 1, config)
    with pytest.raises(SpecError, match=rf"s\.yml:5: tiny@1: .*{reason}"):
        read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(32)))


def test_a_checkpoint_without_a_configuration_is_known_before_any_work_and_stops_no_other(tmp_path, family):
    (family / "tiny/step-000001/config.json").unlink()
    declared = read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(32)))
    (failure,) = declared.failures
    assert re.fullmatch(r"tiny@1: .*step-000001/config\.json: No such file or directory", failure)
    assert [spec.step for spec in declared.parts[0].checkpoints] == [2]
    (family / "tiny/step-000002/config.json").unlink()
    with pytest.raises(SpecError, match=r"s\.yml:5: tiny@1: .*step-000001/config\.json: No such file"):
        read_sweep(write_sweep(tmp_path / "s.yml", family, RTN.format(32)))


def test_a_methods_own_refusal_is_heard_at_plan_time(tmp_path, family, monkeypatch):
    """It is asked once for each structure and scheme, with the configuration of the checkpoint."""
    asked = []

    def refusal(config, scheme):
        asked.append((config.model_type, scheme.bits))
        return "not on Llama" if config.model_type == "llama" and scheme.bits == 3 else None

    monkeypatch.setattr(rtn, "refusal", refusal)
    give_config(family, 2, LLAMA)
    schemes = "[{method: rtn, bits: [2, 3, 4], group_size: 16, symmetric: true}]"
    with pytest.raises(SpecError, match=r"s\.yml:6: rtn 3 bits g16 symmetric on tiny: not on Llama$"):
        read_sweep(write_sweep(tmp_path / "s.yml", family, schemes))
    assert asked == [("gpt_neox", 2), ("gpt_neox", 3), ("gpt_neox", 4), ("llama", 2), ("llama", 3)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("method: rtn, symmetric: true, order: activation", r"rtn: 'order' is \"activation\"; accepted: \"given\""),
        ("method: rtn, symmetric: true, grid_search: mse", r"rtn: 'grid_search' is \"mse\"; accepted: \"minmax\""),
        ("method: [gptq, rtn], symmetric: false, format: mxint", 'gptq: \'format\' is "mxint"; accepted: "int"'),
    ],
)
def test_a_scheme_that_a_method_does_not_know_is_refused_with_its_line(tmp_path, family, options, reason):
    schemes = f"[{{bits: 4, group_size: 32, {options}}}]"
    with pytest.raises(SpecError, match=rf"s\.yml:6: \w+ 4 bits g32 .* on tiny: {reason}"):
        read_sweep(write_sweep(tmp_path / "s.yml", family, schemes))


def names_its_checkpoints(path: Path) -> bool:
    """Tell whether a sweep is one of families that are known without having been trained here."""
    parts = yaml.safe_load(path.read_text()).get("parts", ())
    return bool(parts) and all(part["family"] in {*HUB_FAMILIES, "data/tadpole"} for part in parts)


PLANNED = [path for path in sorted((ROOT / "sweeps").glob("*.yml")) if names_its_checkpoints(path)]


def test_the_sweeps_of_the_pocket_and_of_hub_families_are_among_those_planned():
    assert {path.stem for path in PLANNED} >= {"pocket", "crosscheck", "pythia", "olmo-2", "smollm2", "datadecide"}
    swept = {part["family"] for path in PLANNED for part in yaml.safe_load(path.read_text())["parts"]}
    assert {name.removesuffix("-deduped") for name in HUB_FAMILIES} <= {name.removesuffix("-deduped") for name in swept}


@pytest.mark.parametrize("path", PLANNED, ids=lambda path: path.stem)
def test_the_committed_sweeps_can_be_planned(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert plan(read_sweep(path))


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


def test_a_part_of_another_family_is_checked_too_when_a_sweep_is_read_for_one_unit(tmp_path, family):
    path = write(tmp_path, family)
    path.write_text(path.read_text() + "  - family: [other]\n    schemes: []\n")
    with pytest.raises(SpecError, match=r"sweep\.yml:8: 'family' is \['other'\]; accepted: str$"):
        read_sweep(path, Unit(family, "tiny"))


@pytest.mark.parametrize("asks", ["evaluation", "calibration"])
def test_too_few_positions_are_that_checkpoints_failure_and_are_told_by_the_plan(tmp_path, family, asks):
    copy = shutil.copytree(family, tmp_path / "copy")
    short, *_ = sorted(copy.rglob("config.json"))
    short.write_text(json.dumps(json.loads(short.read_text()) | {"max_position_embeddings": 64}))
    old, new = f"{asks}: {{sequences: ", f"{asks}: {{seq_len: 65, sequences: "
    others = {"evaluation": "calibration", "calibration": "evaluation"}
    path = write(tmp_path, copy, old, new)
    path.write_text(path.read_text().replace(f"{others[asks]}: {{", f"{others[asks]}: {{seq_len: 64, "))
    sweep = read_sweep(path)
    assert len(sweep.parts[0].checkpoints) == 1
    (failure,) = sweep.failures
    assert failure.endswith(": 65 tokens a sequence; accepted: up to 64 (its positions)")
    path.write_text(path.read_text().replace("seq_len: 65", "seq_len: 64"))
    assert not read_sweep(path).failures


def test_too_few_positions_of_every_checkpoint_are_refused(tmp_path, family):
    copy = shutil.copytree(family, tmp_path / "copy")
    for config in copy.rglob("config.json"):
        config.write_text(json.dumps(json.loads(config.read_text()) | {"max_position_embeddings": 64}))
    with pytest.raises(SpecError, match=r"sweep\.yml:\d+: .*512 tokens a sequence; accepted: up to 64"):
        read_sweep(write(tmp_path, copy))


@pytest.mark.parametrize("name", ["models", "steps", "runs"])
def test_an_empty_list_is_refused_in_a_part(tmp_path, family, name):
    path = write(tmp_path, family)
    path.write_text(path.read_text().replace("    schemes:", f"    {name}: []\n    schemes:", 1))
    with pytest.raises(SpecError, match=rf"sweep\.yml:\d+: '{name}' is \[\]; accepted: one value or more$"):
        read_sweep(path)


@pytest.mark.parametrize("name", ["bits", "method", "group_size", "calib_seed"])
def test_an_empty_list_is_refused_in_a_scheme(tmp_path, family, name):
    """It left out, with exit code 0, every scheme that it was combined with."""
    said = {"method": "rtn", "bits": "3", "group_size": "32", "symmetric": "false"} | {name: "[]"}
    entry = ", ".join(f"{key}: {value}" for key, value in said.items())
    path = write(tmp_path, family)
    path.write_text(re.sub(r"    schemes:(.|\n)*", f"    schemes: [{{{entry}}}]\n", path.read_text()))
    with pytest.raises(SpecError, match=rf"sweep\.yml:\d+: '{name}' is \[\]; accepted: one value or more$"):
        read_sweep(path)


def test_a_family_whose_name_no_file_can_have_is_unknown(tmp_path, family):
    path = write(tmp_path, family)
    path.write_text(path.read_text().replace(str(family), "x" * 300))
    with pytest.raises(SpecError, match="unknown family 'x+"):
        read_sweep(path)
