"""The hidden states of a whole text between two blocks: on the device or, when they are too many, on the host."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from helpers.measure.models.streaming.transfer import Line, Mark


class HiddenStates:
    """The hidden states of micro-batches, (V x n, L, d) each, by number.

    `offloaded` ones lie in pinned host memory. One that is read comes through one of two buffers, the next to be read
    on its way meanwhile; one that is written is copied back while the device goes on.
    """

    def __init__(self, parts: Iterable[Tensor], device: torch.device, offloaded: bool) -> None:
        self.device, self.offloaded = device, offloaded
        self.parts: list[Tensor] = []
        self.line = Line(device)
        self.buffers: list[Tensor] = []
        self.turn = 0
        self.coming: tuple[int, Tensor, Mark] | None = None
        self.leaving: tuple[Tensor, Mark] | None = None  # what was written last, kept until it is copied
        for part in parts:
            self.parts.append(self._host_copy_of(part) if offloaded else part)

    def __len__(self) -> int:
        """Return the number of micro-batches."""
        return len(self.parts)

    def read(self, number: int, then: int | None = None) -> Tensor:
        """Return micro-batch `number` on the device, until the read after the next; `then` is read next."""
        if not self.offloaded:
            return self.parts[number]
        if self.coming is None or self.coming[0] != number:
            self._ask(number)
        assert self.coming is not None
        _, states, arrived = self.coming
        self.coming = None
        self.line.work_follows(arrived)
        if then is not None:
            self._ask(then)
        return states

    def write(self, number: int, states: Tensor) -> None:
        """Replace micro-batch `number`."""
        if self.offloaded:
            self._send(self.parts[number], states)
        else:
            self.parts[number] = states

    def finish(self) -> None:
        """Return when everything written is where it belongs; let go of the buffers."""
        self.line.wait(self.line.mark())
        self.leaving = self.coming = None
        self.buffers = []

    def _ask(self, number: int) -> None:
        part = self.parts[number]
        if not self.buffers:
            largest = max(each.nbytes for each in self.parts)
            self.buffers = [self.line.device_memory(largest) for _ in range(2)]
        self.turn = 1 - self.turn
        states = self.buffers[self.turn][: part.nbytes].view(part.dtype).view(part.shape)
        self.line.follow(self.line.mark_work())  # the work with what was in this buffer is queued already
        self.line.copy(states, part)
        self.coming = number, states, self.line.mark()

    def _host_copy_of(self, states: Tensor) -> Tensor:
        memory = self.line.host_memory(states.nbytes).view(states.dtype).view(states.shape)
        self._send(memory, states)
        return memory

    def _send(self, memory: Tensor, states: Tensor) -> None:
        if self.leaving is not None:  # so that no more than two wait to be copied
            self.line.wait(self.leaving[1])
        self.line.follow(self.line.mark_work())
        self.line.copy(memory, states)
        self.leaving = states, self.line.mark()


@dataclass(frozen=True)
class OfVariant:
    """One variant's part of hidden states: number `place` of `n_variants`, (n, L, d) over all micro-batches."""

    hidden: HiddenStates
    place: int
    n_variants: int

    def rows(self, start: int, stop: int) -> Tensor:
        """Return sequences `start` to `stop` on the device."""
        found = []
        first = 0
        for part in self.hidden.parts:
            own = part.chunk(self.n_variants)[self.place]
            inside = own[max(start - first, 0) : max(stop - first, 0)]
            if len(inside):
                found.append(inside.to(self.hidden.device, non_blocking=True))
            first += len(own)
        return found[0] if len(found) == 1 else torch.cat(found)

    def alone(self) -> "OfVariant":
        """Return a copy that keeps no other variant's hidden states; itself where there is none."""
        if self.n_variants == 1:
            return self
        hidden = HiddenStates([], self.hidden.device, self.hidden.offloaded)
        for part in self.hidden.parts:
            own = part.chunk(self.n_variants)[self.place]
            if self.hidden.offloaded:
                memory = hidden.line.host_memory(own.nbytes).view(own.dtype).view(own.shape)
                own = memory.copy_(own)
            else:
                own = own.clone()
            hidden.parts.append(own)
        return OfVariant(hidden, 0, 1)
