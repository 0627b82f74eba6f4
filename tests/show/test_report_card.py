"""The card: the Hub reads its metadata, and Markdown obeys nothing from outside."""

from huggingface_hub import ModelCard
from tests.show.findings import NAME, finding

from helpers.show.report_card import card
from helpers.show.report_subject import Subject

SUBJECT = Subject(NAME, (("Weights", "SHA-256 abc"),), ("a note",))


def test_the_hub_reads_what_it_was_made_of():
    made = ModelCard(card([finding(), finding(bits=2, method="rtn")], SUBJECT, "owner/name"))
    assert made.data.base_model == "owner/name"
    assert made.data.to_dict()["base_model_relation"] == "quantized"
    assert made.data.tags == ["quantized", "qid", "gptq", "rtn", "2-bit", "3-bit"]


def test_of_a_folder_no_base_model_is_said():
    assert "base_model" not in card([finding()], SUBJECT, None)


def test_the_table_has_a_row_a_finding_and_as_many_cells_as_headings():
    found = [finding(), finding(draws_sd_nats=0.01, n_draws=2)]
    lines = [line for line in card(found, SUBJECT, None).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(found)
    assert {line.replace("\\|", "").count("|") for line in lines} == {10}
    assert "<script>" not in card(found, SUBJECT, None)
