"""What is wanted of a model, checked before any work: each refusal in one line."""

import re
from pathlib import Path

import pytest
from tests.measure.tiny import ROOT

from helpers.measure.sweep.one_model import Wanted, one_model
from helpers.table.errors import QidError


@pytest.fixture(autouse=True)
def _from_the_top_folder(monkeypatch):
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"bits": (1,)}, "--bits is 1; accepted: 2 to 8"),
        ({"bits": (16,)}, "--bits is 16; accepted: 2 to 8 (the 16-bit model is measured beside every other)"),
        ({"bits": (3, 3)}, "--bits has 3 twice; accepted: each once"),
        ({"methods": ("rtn", "rtn")}, "--method has rtn twice; accepted: each once"),
        *(
            ({"group_size": size}, f"--group-size is {size}; accepted: a divisor of 64 (of every input width")
            for size in (48, 0, -2)
        ),
        ({"seeds": (-1,)}, "--seeds is -1; accepted: 0 to 2147483647"),
        ({"seeds": (10**20,)}, "--seeds is 100000000000000000000; accepted: 0 to 2147483647"),
        ({"methods": ("gpqt",)}, "unknown method 'gpqt'; accepted: autogptq, awq, cmpq"),
        (
            {"texts": ("none.txt",)},
            "none.txt: no such file; accepted: prose, code, unseen, refinedweb, wikitext2, c4, or a file",
        ),
        ({"revision": "main"}, "a folder has no --revision 'main'; accepted: a folder, or a Hub repository"),
    ],
)
def test_what_can_not_be_asked_is_refused_with_what_is_accepted(llama, wanted, other, said):
    with pytest.raises(QidError, match=re.escape(said)):
        one_model(wanted(llama, **other))


def test_a_context_beyond_the_window_is_refused(llama, wanted):
    with pytest.raises(QidError, match="--seq-len is 129; accepted: up to 128, the model's window"):
        one_model(Wanted(**(vars(wanted(llama)) | {"seq_len": 129})))


def test_where_no_length_is_named_it_is_the_usual_one_or_the_window(llama, wanted):
    assert one_model(Wanted(**(vars(wanted(llama)) | {"seq_len": None}))).sweep.evaluation.seq_len == 128


def test_a_text_that_is_calibrated_on_is_refused(llama, wanted):
    asked = wanted(llama)
    with pytest.raises(QidError, match="scored.jsonl: text that is calibrated on too; accepted: other documents than"):
        one_model(Wanted(**(vars(asked) | {"calibration": asked.texts})))


def test_a_hub_that_can_not_be_reached_is_told_as_that(wanted, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(QidError, match="nobody/nothing at main: not in the local cache, and the Hub can't be reached"):
        one_model(wanted(Path("nobody/nothing")))
