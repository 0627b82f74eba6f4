"""How much text one model is measured on: windows of each text, tokens of each window."""

from dataclasses import dataclass

from helpers.table.errors import CheckpointError, SpecError

SEQ_LEN = 512


@dataclass(frozen=True)
class Amounts:
    """How much is read: sequences scored of each text, and sequences that methods calibrate on."""

    sequences: int
    calibration: int


FULL, QUICK = Amounts(32, 64), Amounts(12, 8)


def window_length(asked: int | None, positions: int | None) -> int:
    """Return the length of a window: as asked, else `SEQ_LEN` or as many tokens as the model has positions.

    Raises SpecError for no length, CheckpointError for one longer than the model's.
    """
    if asked is None:
        return min(SEQ_LEN, positions or SEQ_LEN)
    if asked < 1:
        raise SpecError(f"--seq-len is {asked}; accepted: 1 or more")
    if positions is not None and asked > positions:
        raise CheckpointError(f"--seq-len is {asked:,}; accepted: up to {positions:,}, the model's window")
    return asked
