import numpy as np
import pandas as pd
import pytest

from helpers.analyse.mixed import keeping
from helpers.analyse.rows.resampling import document_counts
from helpers.table.errors import AnalysisError

DOCUMENTS = np.linspace(0.5, 1.5, 40)  # one model's QiD on each document, before the factors below
SIZES = {"small": 1e5, "middle": 4e5, "large": 2e6, "largest": 8e6}
GPTQ_BITS = (2.5, 3.5, 4.5)


def row(way: str, checkpoint: str, stored: float, qid: float, **more) -> dict:
    """One row of a checkpoint `model@tokens`, with the same QiD on every document but for DOCUMENTS."""
    model, tokens = checkpoint.split("@")
    fields = {"way": way, "setting": "", "checkpoint_id": checkpoint, "model": model, "tokens_seen": float(tokens)}
    fields |= {"n_params_non_embedding": SIZES[model], "stored_bits": stored, "qid_nats": qid}
    return fields | {"document_qid_nats": qid * DOCUMENTS} | more


def line(checkpoint: str, height: float = 1.0) -> list[dict]:
    """Plain GPTQ of a checkpoint: QiD falls by a factor of e for every bit."""
    return [row(keeping.LINE, checkpoint, bits, height * np.exp(-bits)) for bits in GPTQ_BITS]


@pytest.fixture
def counts():
    return document_counts(40, np.random.default_rng(3), n_draws=300)


def test_stored_bits_count_what_is_kept():
    table = pd.DataFrame({"quantized_ratio": [1.0, 0.75, 0.0, np.nan], "effective_bits": [3.5, 4.0, np.nan, 4.625]})
    assert keeping.with_stored_bits(table)["stored_bits"].tolist() == [3.5, 7.0, 16.0, 4.625]


SCHEME = {"method": "gptq", "bits": 3, "quantized_ratio": 1.0, "kept_matrices": (), "average_bits": np.nan}
SCHEME |= {"activation_format": None, "activation_bits": np.nan, "activation_exponent": np.nan}
INT8 = {"activation_format": "int", "activation_bits": 8, "bits": 8}
BLOCK = tuple(f"1.{name}" for name in ("attention.dense", "attention.query_key_value", "mlp.dense_4h_to_h"))


@pytest.mark.parametrize(
    ("changes", "way", "setting"),
    [
        ({}, "GPTQ", "3 bits"),
        ({"method": "gwq"}, "GWQ", "3 bits"),
        ({"method": "cmpq", "bits": 4, "average_bits": 2.25}, "CMPQ", "mean 2.25 bits"),
        ({"kept_matrices": BLOCK, "quantized_ratio": 0.93}, "GPTQ, matrices kept", "3 bits, Qr 0.9"),
        (
            {"kept_matrices": (*BLOCK, "1.mlp.dense_h_to_4h"), "quantized_ratio": 0.5},
            "GPTQ, blocks kept",
            "3 bits, Qr 0.5",
        ),
        ({"kept_matrices": BLOCK, "quantized_ratio": 0.95 - 1e-12}, "GPTQ, matrices kept", "3 bits, Qr 0.95"),
        ({"method": "rtn", "activation_exponent": 1.0} | INT8, "RTN, a scale a token", "8 bits, inputs 8"),
        ({"method": "crossquant", "activation_exponent": 0.15} | INT8, "CrossQuant, 0.15", "8 bits, inputs 8"),
    ],
)
def test_ways_and_settings_have_names_for_people(changes, way, setting):
    table = keeping.with_ways(pd.DataFrame([SCHEME | changes]))
    assert table[["way", "setting"]].iloc[0].tolist() == [way, setting]


def test_planted_factors_come_back_at_equal_bits(counts):
    """The line is straight in ln QiD, so that a way off by a factor is off by that factor anywhere on it."""
    rows = []
    for checkpoint, height in (("small@1e8", 1.0), ("large@1e9", 0.2)):
        rows += line(checkpoint, height)
        rows += [row("GWQ", checkpoint, bits, 0.7 * height * np.exp(-bits)) for bits in (2.5, 3.1, 4.5)]
        rows += [row("CMPQ", checkpoint, 5.0, 1.0), row("CMPQ", checkpoint, 2.4, 1.0)]  # beyond the line
    ratios, draws = keeping.against_line(pd.DataFrame(rows), counts)
    assert ratios["way"].tolist() == ["GWQ"] * 6
    np.testing.assert_allclose(ratios["ratio"], 0.7, rtol=1e-12)
    np.testing.assert_allclose(draws, np.log(0.7), rtol=1e-9)  # the same documents on both sides cancel
    assert draws.shape == (6, 300)


def test_any_way_can_be_the_line(counts):
    rows = [row("RTN", "small@1e8", bits, 2 * np.exp(-bits)) for bits in (2.5, 4.5)]
    ratios, _ = keeping.against_line(pd.DataFrame([*rows, *line("small@1e8")]), counts, line="RTN")
    assert ratios["way"].tolist() == ["GPTQ"] * 3
    np.testing.assert_allclose(ratios["ratio"], 0.5, rtol=1e-12)


def test_draws_of_a_ratio_are_those_of_both_ways(counts):
    """Beside a computation by hand: a way that only loses on half of the documents, between two places of the line."""
    uneven = np.where(np.arange(40) < 20, 2.0, 0.5)
    table = pd.DataFrame([*line("small@1e8"), row("GWQ", "small@1e8", 3.0, 0.1, document_qid_nats=0.08 * uneven)])
    ratios, draws = keeping.against_line(table, counts)
    weights = counts / counts.sum(axis=0)
    below = np.log([np.exp(-bits) * DOCUMENTS @ weights for bits in (2.5, 3.5)]).mean(axis=0)
    np.testing.assert_allclose(draws[0], np.log(0.08 * uneven @ weights) - below, rtol=1e-12)
    assert ratios["ratio"].iloc[0] == pytest.approx(0.1 * np.exp(3.0))


def test_what_is_not_told_from_zero_is_left_out(counts):
    """A row whose sign depends on the draw, and a line whose last place is such a row: it ends before."""
    noise = np.where(np.arange(40) % 2, 1.0, -0.98)
    rows = [*line("small@1e8"), row(keeping.LINE, "small@1e8", 6.0, 0.01, document_qid_nats=noise)]
    rows += [row("GWQ", "small@1e8", 3.0, 0.01, document_qid_nats=noise), row("AWQ", "small@1e8", 5.0, 0.01)]
    rows += [row("RTN", "small@1e8", 4.0, 0.1), row("RTN", "large@1e8", 4.0, 0.1)]  # the last one has no line
    ratios, _ = keeping.against_line(pd.DataFrame(rows), counts)
    assert ratios[["way", "checkpoint_id"]].to_numpy().tolist() == [["RTN", "small@1e8"]]


def test_a_line_has_one_row_a_place(counts):
    with pytest.raises(AnalysisError, match="two rows of GPTQ with the same stored bits"):
        keeping.against_line(pd.DataFrame([*line("small@1e8"), *line("small@1e8")]), counts)


def planted(counts, n_tokens: int = 3) -> tuple[pd.DataFrame, np.ndarray]:
    """Ratios 0.5 (N / 1e6)^0.1 (D / 1e9)^-0.2 of one way at four sizes."""
    rows = []
    for model, size in SIZES.items():
        for tokens in np.geomspace(1e8, 1e9, n_tokens):
            rows += line(f"{model}@{tokens}")
            ratio = 0.5 * (size / 1e6) ** 0.1 * (tokens / 1e9) ** -0.2
            rows.append(row("GWQ", f"{model}@{tokens}", 3.0, ratio * np.exp(-3.0), setting="3 bits"))
    return keeping.against_line(pd.DataFrame(rows), counts)


def test_planted_trends_come_back(counts):
    ratios, draws = planted(counts)
    (one,) = keeping.pooled(ratios, draws).to_dict("records")
    assert one["ratio"] == pytest.approx(np.exp(np.log(ratios["ratio"]).mean()))
    assert (one["n_checkpoints"], one["n_rows"], one["n_models"]) == (12, 12, 4)
    assert one["size"] == pytest.approx(0.1)
    assert one["tokens"] == pytest.approx(-0.2)
    assert one["low"] < one["ratio"] < one["high"]
    assert one["n_below"] == int((ratios["ratio"] < 1).sum())
    assert one["stored_bits"] == pytest.approx(3.0)


def test_an_interval_counts_models_and_not_their_checkpoints(counts):
    """Each model's checkpoints as copies of one: the interval of the mean stays that of four models."""
    few, many = (keeping.pooled(*_of_models(counts, copies)) for copies in (1, 6))
    for name in ("ratio", "low", "high"):
        assert few[name].iloc[0] == pytest.approx(many[name].iloc[0], rel=1e-6)


def _of_models(counts, copies: int) -> tuple[pd.DataFrame, np.ndarray]:
    rows = []
    for ratio, model in zip((0.4, 0.5, 0.7, 0.9), SIZES, strict=True):
        for copy in range(copies):
            rows += line(f"{model}@{1e8 + copy}")
            rows.append(row("GWQ", f"{model}@{1e8 + copy}", 3.0, ratio * np.exp(-3.0), setting="3 bits"))
    return keeping.against_line(pd.DataFrame(rows), counts)


def test_slopes_are_missing_where_rows_do_not_give_them(counts):
    """One number of tokens; or two sizes, of which either alone determines the slope in size."""
    of_one_moment = keeping.pooled(*_of_models(counts, 1))
    ratios, draws = planted(counts)
    two = ratios["model"].isin(["small", "large"])
    of_two = keeping.pooled(ratios[two].reset_index(drop=True), draws[two])
    for summary in (of_one_moment, of_two):
        assert "size" not in summary
        assert np.isfinite(summary[["ratio", "low", "high"]].to_numpy()).all()


def test_settings_of_a_single_model_are_left_out(counts):
    rows = [*line("small@1e8"), row("GWQ", "small@1e8", 3.0, 0.05)]
    assert keeping.pooled(*keeping.against_line(pd.DataFrame(rows), counts)).empty


def test_the_front_is_what_no_other_beats():
    places = [(2.0, 1.0), (3.0, 0.5), (3.0, 0.4), (3.5, 0.4), (4.0, 0.1), (1.0, 3.0)]
    table = pd.DataFrame([row("GPTQ", "small@1e8", bits, qid) for bits, qid in places])
    brute = [not any(b <= bits and q <= qid and (b, q) != (bits, qid) for b, q in places) for bits, qid in places]
    assert keeping.on_front(table).tolist() == brute
    assert (
        keeping.on_front(pd.concat([table, table.assign(checkpoint_id="other")], ignore_index=True)).tolist()
        == brute * 2
    )


def test_kept_matrices_are_counted_by_kind_over_all_blocks():
    kept = [("0.mlp.dense_4h_to_h", "1.mlp.dense_4h_to_h", "1.attention.dense"), ()]
    share = keeping.kept_share(pd.DataFrame({"kept_matrices": kept, "n_layers": [3, 5]}))
    assert share.to_dict() == {
        "attention.query_key_value": 0,
        "attention.dense": 1 / 8,
        "mlp.dense_h_to_4h": 0,
        "mlp.dense_4h_to_h": 2 / 8,
    }


def test_rounded_inputs_are_counted_beyond_the_same_weights():
    """The weights' own QiD cancels, document by document, and with it most of the error."""
    extra = np.linspace(0.9, 1.1, 40)
    rows = []
    for model, cost in zip(SIZES, (0.1, 0.2, 0.3, 0.4), strict=True):
        rows.append(row("RTN", f"{model}@1e8", 8.1, 0.05, bits=8, activation_format=None, setting="8 bits"))
        both = {"document_qid_nats": 0.05 * DOCUMENTS + cost * extra, "bits": 8, "activation_format": "int"}
        rows.append(row("CrossQuant, 0.15", f"{model}@1e8", 8.1, 0.05 + cost, setting="inputs 8", **both))
    costs = keeping.input_costs(pd.DataFrame(rows))
    np.testing.assert_allclose(costs["cost_nats"], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(costs["cost_se_nats"], costs["cost_nats"] * extra.std(ddof=1) / np.sqrt(40))
    (one,) = keeping.costs_by_way(costs).to_dict("records")
    half = 3.182446305284263 * np.std([0.1, 0.2, 0.3, 0.4], ddof=1) / 2  # Student's t, 3 degrees of freedom
    assert (one["mean"], one["low"], one["high"]) == pytest.approx((0.25, 0.25 - half, 0.25 + half))
    assert (one["most"], one["n_models"], one["n_checkpoints"]) == (pytest.approx(0.4), 4, 4)
    with pytest.raises(AnalysisError, match="lacks the same weights with inputs as they are"):
        keeping.input_costs(pd.DataFrame(rows[1:]))


def test_rows_of_other_studies_are_not_among_the_seven():
    base = {"family": "tadpole-mixed", "device_type": "cuda", "eval_dataset": "wheels-heldout", "n_sequences": 256}
    base |= {"method": "gptq", "format": "int", "calib_seed": 0, "run": "a", "model": "a", "eval_id": "e"}
    changes = [{}, {"method": "none", "format": None, "calib_seed": None}, {"format": "codebook"}]
    others = [{"family": "tadpole-trunk"}, {"format": "mxint"}, {"calib_seed": 1}, {"run": "a-cooldown"}]
    others += [{"n_sequences": 512, "eval_id": "f"}, {"device_type": "cpu"}]
    table = pd.DataFrame([base | change for change in changes + others])
    assert keeping.seven_rows(table).index.tolist() == [0, 1, 2]
    with pytest.raises(AnalysisError, match="need one evaluation of tadpole-mixed; got 2"):
        keeping.seven_rows(pd.DataFrame([base, base | {"eval_id": "other"}]))
    with pytest.raises(AnalysisError, match="got 0"):
        keeping.seven_rows(table.assign(family="other"))


def plain_lines(model="large", step=10, height=1.0, coarse=0.7):
    """Two lines of plain GPTQ in ln QiD: groups of 32, and of 128, which lose `coarse` times as much at equal bits."""
    places = {32: (2.56, 3.59, 4.62), 128: (2.14, 3.15, 4.16)}
    return pd.DataFrame(
        {"model": model, "step": step, "group_size": size, "stored_bits": bits}
        | {"qid_nats": height * np.exp(-bits) * (coarse if size == 128 else 1)}
        for size, all_bits in places.items()
        for bits in all_bits
    )


def test_coarse_groups_are_read_at_each_rows_own_stored_bits():
    asked = pd.DataFrame({"model": ["large", "large"], "step": 10, "stored_bits": [2.79, 3.9]})
    plain = pd.concat([plain_lines(), plain_lines(model="small", coarse=0.1)])
    found = keeping.with_coarse_groups(asked, plain)
    np.testing.assert_allclose(found["coarse"], 0.7, rtol=1e-12)


def test_rows_without_both_lines_have_no_factor():
    asked = pd.DataFrame({"model": ["large", "large", "narrow"], "step": [10, 11, 10], "stored_bits": 3.0})
    narrow = plain_lines(model="narrow").query("group_size == 32")  # its width isn't divisible by 128
    found = keeping.with_coarse_groups(asked, pd.concat([plain_lines(), narrow]))
    assert found[["model", "step"]].to_numpy().tolist() == [["large", 10]]
    beyond = asked.assign(stored_bits=[2.3, 3.0, 3.0])  # below what groups of 32 can store
    assert keeping.with_coarse_groups(beyond, plain_lines()).empty


def test_two_rows_at_one_place_of_a_line_are_refused():
    asked = pd.DataFrame({"model": ["large"], "step": 10, "stored_bits": 3.0})
    with pytest.raises(AnalysisError, match="two rows of plain GPTQ"):
        keeping.with_coarse_groups(asked, pd.concat([plain_lines(), plain_lines(height=2)]))
