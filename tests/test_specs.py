import dataclasses

import pytest

from helpers import specs
from helpers.specs import EvalSpec, QuantScheme, SpecError, from_mapping, measurement_id

GPTQ = QuantScheme("gptq", bits=3, group_size=32, symmetric=False, rel_damp=0.01)
EVALUATION = EvalSpec("text", "abc", n_sequences=128, seq_len=512)


def test_canonical_json_is_the_same_for_equal_values():
    assert specs.canonical_json({"b": 1, "a": [1.5, None]}) == specs.canonical_json({"a": (1.5, None), "b": 1})


def test_canonical_json_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        specs.canonical_json(float("nan"))


def test_an_option_added_later_keeps_the_ids_of_older_rows():
    @dataclasses.dataclass(frozen=True)
    class Later(QuantScheme):
        activation_bits: int | None = None

    later = Later(**dataclasses.asdict(GPTQ))
    assert specs.digest(specs.key_of(later)) == GPTQ.scheme_id
    assert specs.digest(specs.key_of(dataclasses.replace(later, activation_bits=8))) != GPTQ.scheme_id


@pytest.mark.parametrize(
    "change",
    [{"bits": 4}, {"group_size": None}, {"symmetric": True}, {"rel_damp": 0.1}, {"calib_seed": 1}, {"method": "rtn"}],
)
def test_every_field_of_a_scheme_is_in_the_key(change):
    other = dataclasses.replace(GPTQ, **change)
    assert measurement_id("w", other, EVALUATION, "cpu", 1) != measurement_id("w", GPTQ, EVALUATION, "cpu", 1)


def test_device_weights_evaluation_and_version_are_in_the_key():
    ids = {
        measurement_id("w", GPTQ, EVALUATION, "cpu", 1),
        measurement_id("w", GPTQ, EVALUATION, "cuda", 1),
        measurement_id("v", GPTQ, EVALUATION, "cpu", 1),
        measurement_id("w", GPTQ, dataclasses.replace(EVALUATION, eval_sha256="abd"), "cpu", 1),
        measurement_id("w", GPTQ, EVALUATION, "cpu", 2),
    }
    assert len(ids) == 5


def test_unknown_keys_wrong_types_and_missing_keys_are_named():
    good = dataclasses.asdict(EVALUATION)
    assert from_mapping(EvalSpec, good, "here") == EVALUATION
    with pytest.raises(SpecError, match=r"^here: unknown key 'sequence'; accepted: eval_dataset, "):
        from_mapping(EvalSpec, good | {"sequence": 1}, "here")
    with pytest.raises(SpecError, match=r"^here: 'seq_len' is '512'; accepted: int$"):
        from_mapping(EvalSpec, good | {"seq_len": "512"}, "here")
    with pytest.raises(SpecError, match=r"^here: 'seq_len' is True; accepted: int$"):
        from_mapping(EvalSpec, good | {"seq_len": True}, "here")
    with pytest.raises(SpecError, match=r"^here: missing key 'eval_dataset'$"):
        from_mapping(EvalSpec, {}, "here")


def test_the_line_of_a_key_is_named():
    with pytest.raises(SpecError, match=r"^file\.yml:7: 'bits' is 'three'; accepted: int or null$"):
        from_mapping(QuantScheme, {"bits": "three"}, "file.yml", {"bits": 7})


@pytest.mark.parametrize("bits", [None, 0, 1, 9, 16])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(SpecError, match="accepted: 2 to 8"):
        QuantScheme("rtn", bits=bits, symmetric=True)


def test_group_size_and_symmetry_are_checked():
    with pytest.raises(SpecError, match="'group_size' is 0"):
        QuantScheme("rtn", bits=3, group_size=0, symmetric=True)
    with pytest.raises(SpecError, match="missing key 'symmetric'"):
        QuantScheme("rtn", bits=3, group_size=32)


def test_labels_read_well():
    assert GPTQ.label == "gptq 3 bits g32 asymmetric"
    assert QuantScheme().label == "16-bit baseline"
