"""Float32 copies of 16-bit parameters, made and dropped."""

import pytest
import torch
from torch import nn

from helpers.measure.models.stored import (
    begin_block,
    fetched,
    refuse_changed_files,
    stamp_files,
    stamps_of,
    wide,
    widened,
    widened_in_turn,
    widened_outside,
)
from helpers.measure.models.streaming.placing import put
from helpers.table.errors import CheckpointError


class Seen(nn.Linear):
    """A linear layer that notes the dtype in which it ran."""

    def forward(self, inputs):
        self.ran_in = self.weight.dtype
        return super().forward(inputs)


def model() -> nn.Sequential:
    made = nn.Sequential(Seen(4, 4), nn.Sequential(Seen(4, 4), Seen(4, 4)), nn.LayerNorm(4), Seen(4, 4))
    made[3].weight = made[0].weight
    return made.bfloat16()


def kinds(module: nn.Module) -> set[torch.dtype]:
    return {parameter.dtype for parameter in module.parameters()}


def test_copies_are_exact_shared_where_parameters_are_and_dropped():
    net = model()
    before = dict(net.named_parameters())
    with widened(net):
        assert kinds(net) == {torch.float32}
        assert net[0].weight is net[3].weight
        assert all(torch.equal(net.get_parameter(name), old.float()) for name, old in before.items())
    assert all(net.get_parameter(name) is old for name, old in before.items())


def test_every_part_has_its_turn_alone():
    net = model()
    others = []
    net[1][1].register_forward_pre_hook(lambda *_: others.append((kinds(net[0]), kinds(net[3]), kinds(net[1]))))
    with widened_in_turn(net, [net[1]]):
        outputs = net(torch.ones(2, 4))
    narrow, wide = {torch.bfloat16}, {torch.float32}
    assert others == [(narrow, narrow, wide)]
    assert [net[0].ran_in, net[1][0].ran_in, net[3].ran_in] == [torch.float32] * 3
    assert kinds(net) == narrow
    assert torch.equal(outputs, model_in_float32(net)(torch.ones(2, 4)))
    assert not any(module._forward_hooks for module in net.modules())


def model_in_float32(net: nn.Sequential) -> nn.Sequential:
    wide = model().float()
    wide.load_state_dict(net.state_dict())
    return wide


def test_an_error_in_the_middle_puts_everything_back():
    net = model()
    net[1][1].forward = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError), widened_in_turn(net, [net[1]]):
        net(torch.ones(2, 4))
    assert kinds(net) == {torch.bfloat16}
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_float32_and_float64_are_left_alone():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double())
    before = list(net.parameters())
    with widened(net), widened_in_turn(net, [net[0]]):
        assert all(new is old for new, old in zip(net.parameters(), before, strict=True))


def test_a_model_without_files_has_none_that_change(tmp_path):
    refuse_changed_files(model())
    path = tmp_path / "file"
    path.write_bytes(b"0")
    net = model()
    stamp_files(net, stamps_of([path]))
    begin_block([net])
    path.write_bytes(b"00")
    with pytest.raises(CheckpointError, match=r"file: changed while it was measured \(2 bytes, not 1\)$"):
        begin_block([model(), net])


def test_what_lies_outside_is_widened_and_the_rest_is_left():
    net = model()
    with widened_outside(net, net[1], net[2]):
        assert [each.weight.dtype for each in (net[0], net[1][0], net[1][1], net[2], net[3])] == [
            torch.float32,
            torch.bfloat16,
            torch.bfloat16,
            torch.bfloat16,
            torch.float32,
        ]
        assert net[0].weight is net[3].weight
    assert kinds(net) == {torch.bfloat16}


def test_what_waits_elsewhere_is_fetched_in_its_own_dtype_or_widened():
    """A device without numbers stands for a GPU."""
    net = model()
    own = dict(net.named_parameters())
    put(net, "meta", streamed=True)
    for copies, dtype in ((fetched(net[1]), torch.bfloat16), (widened(net[1]), torch.float32)):
        with copies:
            assert {(p.device.type, p.dtype) for p in net[1].parameters()} == {("meta", dtype)}
            assert net[0].weight is own["0.weight"]
    assert wide(net[0].weight, torch.device("meta")).is_meta
    seen = []
    net[1][0].register_forward_pre_hook(lambda *_: seen.append({p.device.type for p in net[1].parameters()}))
    with widened_in_turn(net, [net[1]]):
        assert net(torch.ones(2, 4, device="meta")).is_meta
    assert seen == [{"meta"}]
    assert all(net.get_parameter(name) is parameter for name, parameter in own.items())


def test_what_is_where_it_works_is_fetched_for_nothing():
    net = model()
    own = dict(net.named_parameters())
    with fetched(net):
        assert all(net.get_parameter(name) is parameter for name, parameter in own.items())
