"""The blocks of models one after the other on the device, in the dtype they are stored in, the next one on its way.

Two slots of device memory hold the block at work and the next. A thread reads the next one's pages into two pieces of
pinned memory in turn, from which they are copied while the device works.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import torch
from torch import Tensor, nn

from helpers.measure.models.decoders import Decoder
from helpers.measure.models.stored import begin_block, refuse_changed_files
from helpers.measure.models.streaming.placing import device_of, is_streamed
from helpers.measure.models.streaming.transfer import Line, Mark

PIECE_BYTES = 2**25  # of pinned memory: enough for a copy at full speed
ALIGNED_BYTES = 256  # what kernels expect of a tensor's address

Owned = tuple[nn.Module, str, nn.Parameter]  # a module, its parameter's name, and the parameter


class BlockFeed:
    """A feed of the blocks of checkpoints of one shape; `prefetched` fetches a block while the one before is at work.

    Where the models lie on their device as a whole nothing is copied, and nothing is held.
    """

    def __init__(self, decoders: Sequence[Decoder], prefetched: bool = True) -> None:
        self.decoders, self.prefetched = decoders, prefetched
        self.streamed = is_streamed(decoders[0].model)
        self.coming: tuple[int, Future[Mark]] | None = None

    def __enter__(self) -> "BlockFeed":
        """Take the slots and begin with the first block."""
        if self.streamed:
            self.line = Line(device_of(self.decoders[0].model))
            n_bytes = max(sum(map(_room, self._parameters(index))) for index in range(self._n_blocks))
            self.slots = [self.line.device_memory(n_bytes) for _ in range(2)]
            self.pieces = [self.line.host_memory(PIECE_BYTES) for _ in range(2)]
            self.copied: list[Mark] = [None, None]  # from each piece
            self.left: list[Mark] = [self.line.mark_work()] * 2  # each slot, by the block that was at work in it
            self.pool = ThreadPoolExecutor(max_workers=1)
            self._ask(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the slots once nothing is copied into them any more."""
        if self.streamed:
            self.pool.shutdown(wait=True, cancel_futures=True)
            self.line.wait(self.line.mark())
            self.coming = None
            self.slots = self.pieces = []

    @contextlib.contextmanager
    def at(self, index: int) -> Iterator[None]:
        """Let the models' blocks `index` have their parameters on the device meanwhile.

        Raises CheckpointError as `stored.refuse_changed_files` does.
        """
        begin_block(decoder.model for decoder in self.decoders)
        if not self.streamed:
            yield
            return
        if self.coming is None or self.coming[0] != index:
            self._ask(index)
        self.line.work_follows(self._arrived())
        if self.prefetched and index + 1 < self._n_blocks:
            self._ask(index + 1)
        owned = self._owned(index)
        places = self._places(index)
        try:
            for module, name, parameter in owned:
                module._parameters[name] = nn.Parameter(places[id(parameter)], requires_grad=False)
            yield
        finally:
            for module, name, parameter in owned:
                module._parameters[name] = parameter
            self.left[index % 2] = self.line.mark_work()

    @property
    def _n_blocks(self) -> int:
        return len(self.decoders[0].blocks)

    def _owned(self, index: int) -> list[Owned]:
        """Return the parameters of the models' blocks `index` and who owns them; one may have two names."""
        return [
            (module, name, parameter)
            for decoder in self.decoders
            for module in decoder.blocks[index].modules()
            for name, parameter in module._parameters.items()
            if parameter is not None
        ]

    def _parameters(self, index: int) -> list[nn.Parameter]:
        return list({id(parameter): parameter for _, _, parameter in self._owned(index)}.values())

    def _places(self, index: int) -> dict[int, Tensor]:
        """Return where in its slot each parameter of block `index` lies, by the parameter's id."""
        slot, start = self.slots[index % 2], 0
        places = {}
        for parameter in self._parameters(index):
            part = slot[start : start + parameter.nbytes]
            places[id(parameter)] = part.view(parameter.dtype).view(parameter.shape)
            start += _room(parameter)
        return places

    def _ask(self, index: int) -> None:
        # where parameters lie is found here: while a block is at work they aren't its own
        parameters = [parameter.detach() for parameter in self._parameters(index)]
        places = list(self._places(index).values())
        self.coming = index, self.pool.submit(self._fetch, index, parameters, places)

    def _arrived(self) -> Mark:
        assert self.coming is not None
        future, self.coming = self.coming[1], None
        return future.result()

    @torch.no_grad()
    def _fetch(self, index: int, parameters: Sequence[Tensor], places: Sequence[Tensor]) -> Mark:
        """Copy parameters to their places, piece by piece; return a mark behind the last copy."""
        for decoder in self.decoders:
            refuse_changed_files(decoder.model)
        self.line.follow(self.left[index % 2])
        turn = 0
        for parameter, place in zip(parameters, places, strict=True):
            source, target = parameter.reshape(-1), place.view(-1)
            for part, into in zip(
                *(each.split(PIECE_BYTES // each.itemsize) for each in (source, target)), strict=True
            ):
                self.line.wait(self.copied[turn])
                piece = self.pieces[turn][: part.nbytes].view(part.dtype)
                piece.copy_(part)
                self.line.copy(into, piece)
                self.copied[turn] = self.line.mark()
                turn = 1 - turn
        return self.line.mark()


def _room(parameter: Tensor) -> int:
    """Return the bytes of a slot that a parameter takes."""
    return math.ceil(parameter.nbytes / ALIGNED_BYTES) * ALIGNED_BYTES
