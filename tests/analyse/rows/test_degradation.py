import numpy as np
import pandas as pd
import pytest

from helpers.analyse.rows.degradation import degradation
from helpers.analyse.rows.devices import device_agreement
from helpers.analyse.rows.selection import rows_of_fit
from helpers.table.errors import AnalysisError, QidError


def test_degradation_is_the_difference_of_two_rows_on_the_same_documents(rows):
    table = degradation(rows)
    assert len(table) == 3 * 4 * 2 * 9
    assert (table["method"] != "none").all()
    one = table.iloc[17]
    same = (rows["checkpoint_id"] == one["checkpoint_id"]) & (rows["device_type"] == one["device_type"])
    baseline = rows[same & (rows["method"] == "none")].iloc[0]
    differences = one["group_loss"] - baseline["group_loss"]
    assert one["baseline_loss_nats"] == baseline["loss_nats"]
    assert one["qid_nats"] == pytest.approx(differences.mean(), rel=1e-9)
    assert one["qid_se_nats"] == pytest.approx(differences.std(ddof=1) / 8, rel=1e-9)
    assert one["n_documents"] == 64
    assert one["run"] == baseline["run"] == one["model"], "a run has the same name before and after"
    assert one["run_label"] == f"tadpole/{one['model']}"


def test_pairing_cancels_what_documents_share(rows):
    table = degradation(rows)
    # documents differ by 0.4 nats: unpaired, the error of 4-bit QiD would be 0.4 * sqrt(2 / 64) = 0.07
    assert table.loc[table["bits"] == 4, "qid_se_nats"].max() < 0.01


def test_rows_that_failed_are_left_out(rows):
    rows.loc[1, ["status", "loss_nats", "group_loss"]] = ["nonfinite", np.nan, None]
    assert len(degradation(rows)) == 3 * 4 * 2 * 9 - 1


@pytest.mark.parametrize("method", ["gaussian_noise", "gaussian_noise_by_input"])
def test_draws_of_noise_are_left_out_as_they_keep_no_losses_by_document(rows, method):
    rows.loc[1, ["method", "group_loss"]] = [method, None]
    assert len(degradation(rows)) == 3 * 4 * 2 * 9 - 1


@pytest.mark.parametrize("status", ["missing", "failed"])
def test_missing_baseline_is_refused_by_name(rows, status):
    first = rows.index[0]
    rows = rows.drop(first) if status == "missing" else rows.assign(status=rows["status"].where(rows.index > 0, status))
    with pytest.raises(AnalysisError, match=r"without a 16-bit baseline.*tadpole-150000@50 gptq 2 bits on cpu.*6 more"):
        degradation(rows)


def test_second_baseline_is_refused(rows):
    with pytest.raises(QidError, match="more than one 16-bit baseline: tadpole-150000@50 16-bit on cpu"):
        degradation(pd.concat([rows, rows.iloc[:1]], ignore_index=True))


def test_other_documents_are_refused(rows):
    rows.at[1, "group_loss"] = rows.at[1, "group_loss"][:60]
    with pytest.raises(AnalysisError, match="60 documents, but its baseline has 64"):
        degradation(rows)


def test_losses_by_document_are_required(rows):
    rows.at[1, "group_loss"] = None
    with pytest.raises(AnalysisError, match="without losses by document: tadpole-150000@50 gptq 2 bits"):
        degradation(rows)


def test_device_agreement_pairs_the_same_measurement(rows):
    table = degradation(rows)
    cpu, cuda = (table[table["device_type"] == device] for device in ("cpu", "cuda"))
    agreement = device_agreement(cpu, cuda.sample(frac=1.0, random_state=0))
    assert len(agreement) == len(cpu)
    one = agreement.iloc[5]
    documents = [
        part.set_index(["checkpoint_id", "scheme_id"]).at[(one["checkpoint_id"], one["scheme_id"]), "document_qid_nats"]
        for part in (cpu, cuda)
    ]
    assert one["difference_nats"] == pytest.approx((documents[0] - documents[1]).mean(), rel=1e-9)
    assert one["difference_se_nats"] == pytest.approx((documents[0] - documents[1]).std(ddof=1) / 8, rel=1e-9)
    error = np.hypot(one["qid_se_nats_cpu"], one["qid_se_nats_cuda"]) / np.sqrt(2)
    assert one["difference_in_qid_se"] == pytest.approx(one["difference_nats"] / error, rel=1e-9)


def test_device_agreement_without_a_common_row_is_refused(rows):
    table = degradation(rows[rows["device_type"] == "cpu"])
    with pytest.raises(AnalysisError, match="no checkpoint was measured"):
        device_agreement(table[table["bits"] == 2], table[table["bits"] == 3])


def test_device_agreement_refuses_two_devices_in_one_table(rows):
    table = degradation(rows)
    with pytest.raises(AnalysisError, match="measured more than once: tadpole-150000@50 gptq 2 bits on cuda"):
        device_agreement(table, table)


def test_rows_of_fit_takes_one_scheme_family(rows):
    table = degradation(rows[rows["device_type"] == "cpu"])
    chosen = rows_of_fit(table, "gptq", 32, symmetric=False, tokens_above=60e6)
    assert set(chosen["bits"]) == {2, 3, 4}
    assert chosen["tokens_seen"].min() == 100e6
    assert len(chosen) == 3 * 3 * 3
    with pytest.raises(AnalysisError, match="no gptq row with group size None"):
        rows_of_fit(table, "gptq", None, symmetric=False)


def test_rows_of_fit_refuses_two_devices(rows):
    with pytest.raises(AnalysisError, match="several values of device_type: cpu, cuda"):
        rows_of_fit(degradation(rows), "gptq", 32, symmetric=False)


def test_rows_of_fit_refuses_two_orders_of_columns(rows):
    table = degradation(rows[rows["device_type"] == "cpu"])
    mixed = pd.concat([table.assign(order="given"), table.assign(order="activation")])
    with pytest.raises(AnalysisError, match="several values of order: given, activation"):
        rows_of_fit(mixed, "gptq", 32, symmetric=False)
    assert len(rows_of_fit(mixed[mixed["order"] == "given"], "gptq", 32, symmetric=False)) == 3 * 4 * 3
