"""Recipes: which matrices of one checkpoint stay in 16 bits, how that was found and what it costs, as a JSON file.

A recipe holds for the weights whose hash it names and no others. `scheme` says how the rest is rounded; its
`kept_matrices` are what stays. Losses are in nats per token on held-out text, of the model rounded as the scheme
says (block after block), not of matrices swapped in while searching.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from helpers.measure.mixed import searches
from helpers.measure.mixed.assignments import GRANULARITIES
from helpers.measure.models import checkpoints
from helpers.table import disk
from helpers.table.errors import CheckpointError, SpecError
from helpers.table.ranges import AMOUNT, SHARE
from helpers.table.readers import read_json
from helpers.table.records import DamagedError, from_mapping, key_of, summed, verified
from helpers.table.scheme import QuantScheme

METRICS = ("qid", "relative_perplexity", "accuracy_drop")
SHA256 = re.compile("[0-9a-f]{16}|[0-9a-f]{64}")  # of a weight file, or the digest of several


@dataclass(frozen=True)
class Recipe:
    """A recipe: the matrices that a search chose for one checkpoint, and the loss on held-out text.

    It was found for a `target_ratio` or for a `budget` of a `metric`, not both. `quantized_ratio` is the share of the
    parameters of the blocks' linear layers that is rounded.
    """

    weights_sha256: str
    scheme: QuantScheme
    granularity: str
    search: str
    quantized_ratio: Annotated[float, SHARE]
    loss_nats: Annotated[float, AMOUNT]
    qid_nats: float
    paired_error_nats: Annotated[float, AMOUNT]
    eval_id: str  # of the held-out text
    search_eval_id: str  # of the text that assignments were scored on
    device_type: str  # on which it was measured; another kind rounds a little differently
    target_ratio: Annotated[float | None, SHARE] = None
    budget: Annotated[float | None, AMOUNT] = None  # of `metric`: nats per token for qid, else a share
    metric: str | None = None

    def __post_init__(self) -> None:
        if self.scheme.method == "none":
            raise SpecError("'scheme' is the 16-bit baseline; accepted: a scheme that rounds")
        if not SHA256.fullmatch(self.weights_sha256):
            raise SpecError(f"'weights_sha256' is '{self.weights_sha256}'; accepted: 64 or 16 hexadecimal digits")
        for name, accepted in (
            ("granularity", GRANULARITIES),
            ("search", searches.SEARCHES),
            ("metric", (None, *METRICS)),
        ):
            if getattr(self, name) not in accepted:
                said = ", ".join("null" if each is None else each for each in accepted)
                raise SpecError(f"'{name}' is '{getattr(self, name)}'; accepted: {said}")
        if (self.target_ratio is None) == (self.budget is None) or (self.budget is None) != (self.metric is None):
            raise SpecError("accepted: 'target_ratio' alone, or 'budget' with 'metric'")


def write(recipe: Recipe, path: Path) -> None:
    """Write a recipe as JSON, whole or not at all; what has its default value is left out.

    Raises ResultsError when the disk refuses.
    """
    content = key_of(recipe) | {"scheme": key_of(recipe.scheme)}
    disk.write_atomically(path, (json.dumps(summed(content), indent=1) + "\n").encode())


def read(path: Path) -> Recipe:
    """Read a recipe. Raises SpecError that names the file, the key and what is accepted there."""
    try:
        content = verified(read_json(path))
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from None
    except DamagedError as error:
        raise SpecError(f"{path}: {error}, else make it again with `qid mixed`") from None
    except ValueError as error:
        raise SpecError(f"{path}: not JSON ({error})") from None
    if isinstance(content, dict) and "scheme" in content:
        content["scheme"] = from_mapping(QuantScheme, content["scheme"], f"{path}: scheme")
    return from_mapping(Recipe, content, str(path))


def refuse_other_weights(recipe: Recipe, folder: Path) -> None:
    """Raise CheckpointError when the checkpoint in `folder` is missing or isn't the recipe's."""
    sha256 = checkpoints.weights_sha256(folder)
    if sha256 != recipe.weights_sha256:
        raise CheckpointError(
            f"{folder}: not the recipe's weights (sha256 {sha256[:16]}; accepted: {recipe.weights_sha256[:16]})"
        )
