"""A rounded model's text: what the rounded weights say, and the model's own weights afterwards."""

import torch
from tests.measure.tiny import ROOT, tiny_model

from helpers.measure.models.checkpoints import tokenizer_of
from helpers.measure.rounding.rounded import Checkpoint, Rounded
from helpers.measure.scoring.continuations import continuation, rounded_in_place
from helpers.table.rows import Diagnostics

POCKET = ROOT / "data/tadpole/tadpole-64x3/step-007275"


def checkpoint(seed: int = 0) -> Checkpoint:
    return Checkpoint(tiny_model(seed), POCKET)


def test_rounded_weights_are_there_inside_and_gone_outside():
    one = checkpoint()
    name = next(name for name, _ in one.model.named_parameters() if name.endswith("query_key_value.weight"))
    weight = dict(one.model.named_parameters())[name]
    before, other = weight.clone(), torch.zeros_like(weight)
    with rounded_in_place(one, Rounded({name: other}, Diagnostics())):
        assert torch.equal(weight, other)
    assert torch.equal(weight, before)
    try:
        with rounded_in_place(one, Rounded({name: other}, Diagnostics())):
            raise KeyError
    except KeyError:
        assert torch.equal(weight, before)


def test_a_model_kept_in_16_bits_runs_in_float32_with_the_rounded_weights_as_they_are():
    wide, narrow = checkpoint(), checkpoint()
    for parameter in narrow.model.parameters():  # not the buffers: they stay in float32
        parameter.data = parameter.data.bfloat16()
    wide.model.load_state_dict(narrow.model.state_dict())
    name = next(name for name, _ in wide.model.named_parameters() if name.endswith("query_key_value.weight"))
    other = dict(tiny_model(1).named_parameters())[name]
    tokens = torch.arange(9)[None]
    with rounded_in_place(wide, Rounded({name: other}, Diagnostics())):
        expected = wide.model(tokens).logits
    with rounded_in_place(narrow, Rounded({name: other}, Diagnostics())):
        assert torch.equal(narrow.decoder.run(tokens), expected)
    assert {parameter.dtype for parameter in narrow.model.parameters()} == {torch.bfloat16}
    tokenizer = tokenizer_of(POCKET)
    assert continuation(narrow, tokenizer, "def", 5) == continuation(wide, tokenizer, "def", 5)


def test_a_continuation_is_the_likeliest_token_each_time():
    one, tokenizer = checkpoint(), tokenizer_of(POCKET)
    prompt = "def read(path):"
    text = continuation(one, tokenizer, prompt, 5)
    ids = tokenizer.encode(prompt, add_special_tokens=False).ids
    for _ in range(5):
        ids.append(int(one.model(torch.tensor([ids])).logits[0, -1].argmax()))
    assert text == tokenizer.decode(ids[-5:], skip_special_tokens=False)
    assert continuation(one, tokenizer, prompt, 5) == text
