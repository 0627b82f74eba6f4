import math

import pytest
import torch
from torch import nn

from helpers.measure.models import activations
from helpers.measure.models.decoders import decoder_of

TOKENS = torch.arange(5 * 12).view(5, 12)


def inputs_seen(model, layer: nn.Linear) -> torch.Tensor:
    """All inputs of one layer, (tokens, columns), float64."""
    seen = []
    handle = layer.register_forward_hook(lambda _layer, args, _output: seen.append(args[0].flatten(0, -2).double()))
    model(TOKENS, use_cache=False)
    handle.remove()
    return torch.cat(seen)


def test_outliers_are_those_of_all_inputs_together(model):
    """Five sequences go through in two parts; the plain way sees them all at once."""
    decoder = decoder_of(model)
    found = activations.input_outliers(decoder, TOKENS)
    assert found.shape == (2, 8)
    for (stand_out, kurtosis), layer in zip(found.T.tolist(), decoder.linear_layers().values(), strict=True):
        inputs = inputs_seen(model, layer)
        by_channel = inputs.square().mean(0).sqrt()
        # float32 products of 4 and of 5 sequences differ by some 1e-7, the fourth powers by four times that
        assert stand_out == pytest.approx((by_channel.max() / by_channel.mean()).item(), rel=1e-5)
        assert kurtosis == pytest.approx((inputs**4).mean().item() / inputs.square().mean().item() ** 2, rel=1e-5)


def test_a_channel_made_larger_stands_out_as_much(model):
    """A norm whose first channel alone isn't zero: its rms is the mean's 32 times, for 32 channels."""
    decoder = decoder_of(model)
    norm = decoder.blocks[0].input_layernorm
    with torch.no_grad():
        norm.weight.zero_()
        norm.bias.copy_(torch.eye(32)[0] * 5)
    stand_out, kurtosis = activations.input_outliers(decoder, TOKENS)[:, 0].tolist()
    assert stand_out == pytest.approx(32, rel=1e-12)
    assert kurtosis == pytest.approx(32, rel=1e-12)


def test_nothing_stays_on_the_model(model):
    decoder = decoder_of(model)
    activations.input_outliers(decoder, TOKENS)
    assert not any(layer._forward_pre_hooks for layer in decoder.linear_layers().values())


def test_the_entropy_of_an_even_prediction_is_the_logarithm_of_the_vocabulary(model):
    decoder = decoder_of(model)
    assert activations.mean_entropy(decoder, TOKENS) < math.log(1024) - 0.01
    with torch.no_grad():
        decoder.tail[-1].weight.zero_()
    # float32 log-softmax is within 1e-6 of each of the 1024 equal terms
    assert activations.mean_entropy(decoder, TOKENS) == pytest.approx(math.log(1024), rel=1e-6)


def test_the_entropy_is_the_mean_over_every_token(model):
    logits = model(TOKENS, use_cache=False).logits.double()
    expected = torch.distributions.Categorical(logits=logits).entropy().mean().item()
    assert activations.mean_entropy(decoder_of(model), TOKENS) == pytest.approx(expected, rel=1e-5)
