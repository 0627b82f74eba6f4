import dataclasses

import pytest

from helpers.table import records
from helpers.table.errors import SpecError
from helpers.table.records import from_mapping
from helpers.table.rows import EvalSpec, measurement_id
from helpers.table.scheme import QuantScheme

GPTQ = QuantScheme("gptq", bits=3, group_size=32, symmetric=False, rel_damp=0.01)
EVALUATION = EvalSpec("text", "abc", n_sequences=128, seq_len=512)


def test_canonical_json_is_the_same_for_equal_values():
    assert records.canonical_json({"b": 1, "a": [1.5, None]}) == records.canonical_json({"a": (1.5, None), "b": 1})


def test_canonical_json_refuses_what_is_no_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        records.canonical_json(float("nan"))


def test_an_option_added_later_keeps_the_ids_of_older_rows():
    @dataclasses.dataclass(frozen=True)
    class Later(QuantScheme):
        rotation: str | None = None

    later = Later(**dataclasses.asdict(GPTQ))
    assert records.digest(records.key_of(later)) == GPTQ.scheme_id
    assert records.digest(records.key_of(dataclasses.replace(later, rotation="hadamard"))) != GPTQ.scheme_id


@pytest.mark.parametrize(
    "change",
    [
        {"bits": 4},
        {"group_size": None},
        {"symmetric": True},
        {"rel_damp": 0.1},
        {"calib_seed": 1},
        {"method": "rtn"},
        {"hessian_dtype": "bfloat16"},
        {"propagate": "full_precision"},
        {"format": "mxint"},
        {"grid_search": "mse"},
        {"order": "activation"},
        {"kept_matrices": ("0.attention.dense",)},
        {"outlier_share": 0.01},
        {"average_bits": 2.5},
        {"activation_format": "mxint", "activation_bits": 4},
        {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 32},
        {"activation_format": "int", "activation_bits": 8, "activation_exponent": 0.5},
    ],
)
def test_every_field_of_a_scheme_is_in_the_key(change):
    other = dataclasses.replace(GPTQ, **change)
    assert measurement_id("w", other, EVALUATION, "cpu", 1) != measurement_id("w", GPTQ, EVALUATION, "cpu", 1)


# Two rows of results/measurements.parquet, written before format, grid_search and order existed
OF_OLD_ROWS = {
    "0aa0205eacecc64e": QuantScheme(method="rtn", bits=3, group_size=32, symmetric=False),
    "cf869f91fd863683": QuantScheme(
        method="gptq",
        bits=3,
        group_size=128,
        symmetric=True,
        rel_damp=0.01,
        calib_dataset="wheels-calibration",
        calib_sha256="dd5066dacffdd69a",
        calib_sequences=128,
        calib_seq_len=512,
        calib_seed=0,
    ),
}


@pytest.mark.parametrize("scheme_id", OF_OLD_ROWS)
def test_ids_of_old_schemes_stay(scheme_id):
    assert OF_OLD_ROWS[scheme_id].scheme_id == scheme_id


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


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("format", "int, mxint, mxfp, nf4, codebook, ternary"),
        ("grid_search", "minmax, mse"),
        ("order", "given, activation"),
        ("hessian_dtype", "float32, tfloat32, bfloat16"),
    ],
)
def test_options_of_a_scheme_are_checked_and_the_accepted_named(name, accepted):
    for value in accepted.split(", "):
        assert getattr(dataclasses.replace(GPTQ, **{name: value}), name) == value
    with pytest.raises(SpecError, match=f"^'{name}' is 'other'; accepted: {accepted}$"):
        dataclasses.replace(GPTQ, **{name: "other"})


def test_the_dtype_of_an_evaluation_is_checked_and_in_its_id():
    assert dataclasses.replace(EVALUATION, eval_dtype="bfloat16").eval_id != EVALUATION.eval_id
    with pytest.raises(SpecError, match="^'eval_dtype' is 'float16'; accepted: float32, tfloat32, bfloat16$"):
        dataclasses.replace(EVALUATION, eval_dtype="float16")


def test_labels_read_well():
    assert GPTQ.label == "gptq 3 bits g32 asymmetric"
    assert QuantScheme().label == "16-bit baseline"
    both = dataclasses.replace(GPTQ, symmetric=True, grid_search="mse", order="activation")
    assert both.label == "gptq 3 bits g32 symmetric, MSE grid, activation order"
    assert QuantScheme("rtn", bits=4, group_size=32, symmetric=True, format="mxfp").label == "rtn 4 bits g32 mxfp"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kept_matrices": ("1.b", "0.a")}, "'kept_matrices' is .*accepted: names in order, each once"),
        ({"kept_matrices": ("0.a", "0.a")}, "accepted: names in order, each once"),
        ({"activation_bits": 8}, "'activation_bits' without 'activation_format'; accepted: mxint, int"),
        ({"activation_format": "nf4"}, "'activation_format' is 'nf4'; accepted: mxint, int, or null"),
        ({"activation_format": "mxint"}, "'activation_bits' is None; accepted: 2 to 8"),
        ({"activation_format": "int", "activation_bits": 8}, "'activation_exponent' is None; accepted: 0 to 1 for int"),
        (
            {"activation_format": "int", "activation_bits": 8, "activation_exponent": 1.5},
            "'activation_exponent' is 1.5",
        ),
        ({"activation_format": "mxint", "activation_bits": 4, "activation_exponent": 0.5}, "null for mxint"),
        (
            {"activation_format": "mxint", "activation_bits": 4, "activation_group_size": 0},
            "'activation_group_size' is 0; accepted: 1 or more for mxint, null for int",
        ),
        (
            {
                "activation_format": "int",
                "activation_bits": 8,
                "activation_exponent": 0.5,
                "activation_group_size": 32,
            },
            "'activation_group_size' is 32; accepted: 1 or more for mxint, null for int",
        ),
    ],
)
def test_what_is_kept_and_activations_are_checked(change, message):
    with pytest.raises(SpecError, match=message):
        dataclasses.replace(GPTQ, **change)


def test_an_assignment_has_a_hash_of_its_own_and_none_where_nothing_is_kept():
    one, other = (dataclasses.replace(GPTQ, kept_matrices=(name,)) for name in ("0.a", "0.b"))
    assert GPTQ.assignment_sha256 is None
    assert len({one.assignment_sha256, other.assignment_sha256}) == 2
