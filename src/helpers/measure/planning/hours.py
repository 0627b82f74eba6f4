"""The time that rows will take on a GPU, from the engine's own benchmarks there: `benchmarks/results/engine.json`.

The rule: a checkpoint takes what the timed work nearest to it in size took, in proportion to parameters times tokens;
rounding by the parameters of the blocks and the calibration's tokens, each scheme by itself; scoring by the same with
the output head and the tokens scored, the 16-bit model beside the rounded ones. A number format in which that work
wasn't timed takes bfloat16's time times the products that it needs at the matrix units (2 for tfloat32, 3 for float32:
see `benchmarks/engine.py`). A method without calibration is rounded in no time beside that. A model's first lot adds
the compilation of its kernels.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import ResultsError
from helpers.table.readers import read_json_mapping
from helpers.table.scheme import QuantScheme

BENCHMARKS = Path("benchmarks/results/engine.json")
PRODUCTS = {"bfloat16": 1, "tfloat32": 2, "float32": 3}
BASE = "bfloat16"
RULE = (
    "as the timed work nearest in size, in proportion to parameters x tokens x schemes;"
    " a number format not timed there as bfloat16 x 2 (tfloat32) or x 3 (float32)"
)


@dataclass(frozen=True)
class Timed:
    """One timed work: seconds of rounding a scheme and of scoring a model, sizes, tokens, and in which formats."""

    work: str
    gpu: str
    n_blocks: int  # parameters without embedding and head
    n_head: int
    calibration_tokens: int
    evaluation_tokens: int
    evaluation_length: int
    rounding_dtype: str
    scoring_dtype: str
    rounding_seconds: float
    scoring_seconds: float
    first_seconds: float | None  # of the first call, kernels compiled

    @classmethod
    def of(cls, row: dict[str, Any]) -> "Timed":
        """Return a work from its row: seconds are a rounded checkpoint's, and scoring counts the 16-bit model's."""
        n_bits = len(row["bits"])
        return cls(
            row["work"],
            row["gpu"],
            row["n_params_non_embedding"],
            row["n_params_head"],
            math.prod(row["calibration"]),
            math.prod(row["evaluation"]),
            row["evaluation"][1],
            row["hessian_dtype"],
            row["eval_dtype"],
            row["seconds_rounding"],
            row["seconds_scoring"] * n_bits / (1 + n_bits),
            row["seconds_first_result"],
        )


@dataclass(frozen=True)
class Clock:
    """What rows take on one GPU, from the works that were timed there."""

    gpu: str
    works: tuple[Timed, ...]

    @property
    def n_blocks_range(self) -> tuple[int, int]:
        """Return the smallest and the largest number of parameters, without embedding and head, that was timed."""
        sizes = [work.n_blocks for work in self.works]
        return min(sizes), max(sizes)

    def is_beyond(self, spec: CheckpointSpec) -> bool:
        """Tell whether a model is smaller or larger than any that was timed: its time is extrapolated."""
        least, most = self.n_blocks_range
        return not least <= spec.n_params_non_embedding <= most

    def rounding(self, spec: CheckpointSpec, scheme: QuantScheme) -> float:
        """Return the seconds of rounding a checkpoint by a scheme."""
        tokens = (scheme.calib_sequences or 0) * (scheme.calib_seq_len or 0)
        near, seconds = self._seconds(spec, scheme.hessian_dtype, "rounding")
        return seconds * spec.n_params_non_embedding / near.n_blocks * tokens / near.calibration_tokens

    def scoring(self, spec: CheckpointSpec, n_tokens: int, dtype: str) -> float:
        """Return the seconds of scoring one model, rounded or not, on so many tokens."""
        near, seconds = self._seconds(spec, dtype, "scoring")
        size = spec.n_params_non_embedding + spec.vocabulary_size * spec.d_model
        return seconds * size / (near.n_blocks + near.n_head) * n_tokens / near.evaluation_tokens

    def compiling(self, spec: CheckpointSpec) -> float:
        """Return the seconds that the first lot of a model takes beside its rows."""
        works = [work for work in self._nearest(spec) if work.first_seconds is not None]
        return max((work.first_seconds or 0.0 for work in works), default=0.0)

    def _seconds(self, spec: CheckpointSpec, dtype: str, what: str) -> tuple[Timed, float]:
        """Return the nearest work, timed in `dtype` if it was, and its seconds of rounding or scoring in that."""
        works = self._nearest(spec)
        for kind, factor in ((dtype, 1), (BASE, PRODUCTS[dtype])):
            for work in works:
                if getattr(work, f"{what}_dtype") == kind:
                    return work, factor * float(getattr(work, f"{what}_seconds"))
        raise ResultsError(f"{works[0].work}: not timed in {BASE}; `python benchmarks/engine.py` times it")

    def _nearest(self, spec: CheckpointSpec) -> list[Timed]:
        """Return the timed work nearest in size, in all the number formats that it was timed in."""
        size = math.log(spec.n_params_non_embedding)
        nearest = min(self.works, key=lambda work: abs(math.log(work.n_blocks) - size)).work
        return [work for work in self.works if work.work == nearest]


def read_clock(gpu: str | None, path: Path = BENCHMARKS) -> Clock | None:
    """Return the times of a GPU or, where that wasn't timed or is None, of the one that the file is about.

    None where the benchmark was never run. Raises ResultsError for another file.
    """
    try:
        rows = [row for row in read_json_mapping(path)["rows"] if row["whole_work"] and row["declared_gib"] is None]
        works = [Timed.of(row) for row in rows]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ResultsError(f"{path}: not what a benchmark writes ({type(error).__name__}: {error})") from None
    if not works:
        return None
    chosen = next((work.gpu for work in works if work.gpu == gpu), works[0].gpu)
    return Clock(chosen, tuple(work for work in works if work.gpu == chosen))
