"""Hidden states of a text: what is written is what is read, wherever they lie."""

import pytest
import torch

from helpers.measure.models.streaming.hidden import HiddenStates, OfVariant

CPU = torch.device("cpu")
SIZES = (3, 3, 2)  # sequences of the micro-batches
N_VARIANTS = 2


def parts(seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(N_VARIANTS * n, 4, 5, generator=generator) for n in SIZES]


both = pytest.mark.parametrize("offloaded", [True, False])


@both
def test_micro_batches_are_read_in_order_and_out_of_it(offloaded):
    made = parts()
    hidden = HiddenStates(iter(made), CPU, offloaded)
    assert len(hidden) == 3
    for number, then in ((0, 1), (1, 2), (2, 0), (0, None), (2, 1), (0, 2), (2, None)):
        assert torch.equal(hidden.read(number, then), made[number])


@both
def test_what_is_written_is_read(offloaded):
    hidden, new = HiddenStates(parts(), CPU, offloaded), parts(1)
    for number in range(3):
        hidden.read(number, number + 1 if number < 2 else None)
        hidden.write(number, new[number])
    hidden.finish()
    assert all(torch.equal(hidden.read(number), new[number]) for number in range(3))


def test_one_that_is_read_stays_until_the_read_after_the_next():
    made = parts()
    hidden = HiddenStates(parts(), CPU, offloaded=True)
    first = hidden.read(0, 1)
    hidden.write(0, torch.zeros_like(first))
    assert torch.equal(first, made[0])
    second = hidden.read(1, 2)
    assert torch.equal(second, made[1])
    assert len({buffer.data_ptr() for buffer in hidden.buffers}) == 2


def test_each_read_is_a_tensor_of_its_own():
    """A walk tells by the object whether two layers share an input."""
    hidden = HiddenStates(parts(), CPU, offloaded=True)
    assert hidden.read(0) is not hidden.read(0)


@both
def test_rows_of_a_variant_go_over_the_edges_of_micro_batches(offloaded):
    made = parts()
    hidden = HiddenStates(made, CPU, offloaded)
    for place in range(N_VARIANTS):
        whole = torch.cat([part.chunk(N_VARIANTS)[place] for part in made])
        of_variant = OfVariant(hidden, place, N_VARIANTS)
        alone = of_variant.alone()
        assert alone.alone() is alone
        for start, stop in ((0, 8), (0, 3), (2, 4), (4, 9), (7, 20)):
            assert torch.equal(of_variant.rows(start, stop), whole[start:stop])
            assert torch.equal(alone.rows(start, stop), whole[start:stop])
        assert all(part.untyped_storage().nbytes() == part.nbytes for part in alone.hidden.parts)
