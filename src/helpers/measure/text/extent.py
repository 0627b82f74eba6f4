"""How much text one model is measured on: windows of each text, tokens of each window."""

from dataclasses import dataclass

from helpers.table.errors import CheckpointError, SpecError


@dataclass(frozen=True)
class Amounts:
    """How much is read: sequences scored of each text, sequences that methods calibrate on, tokens of each."""

    sequences: int
    calibration: int
    seq_len: int = 512


FULL, QUICK = Amounts(32, 64), Amounts(16, 16, 256)


def window_length(asked: int | None, usual: int, positions: int | None) -> int:
    """Return the length of a window: as asked, else `usual` or as many tokens as the model has positions.

    Raises SpecError for no length, CheckpointError for one longer than the model's.
    """
    if asked is None:
        return min(usual, positions or usual)
    if asked < 1:
        raise SpecError(f"--seq-len is {asked}; accepted: 1 or more")
    if positions is not None and asked > positions:
        raise CheckpointError(f"--seq-len is {asked:,}; accepted: up to {positions:,}, the model's window")
    return asked
