"""Float32 copies of 16-bit parameters, made and dropped."""

import pytest
import torch
from torch import nn

from helpers.measure.models.stored import refuse_changed_files, stamp_files, stamps_of, widened, widened_in_turn


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
    refuse_changed_files(net)
