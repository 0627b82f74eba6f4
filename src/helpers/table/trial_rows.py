"""The record of the table of trials.

A column whose meaning isn't said here means what the column of that name in `Measurement` does.
"""

from dataclasses import dataclass
from typing import Annotated

from helpers.table.roles import covariate, key, outcome


@dataclass(frozen=True)
class TrialRow:
    """One row of the table of trials: one assignment of matrices to low or high precision, as a search scored it.

    In a trial the matrices are swapped in as rounded one by one, each on the 16-bit model's activations. `assignment`
    has one digit per matrix, block after block in the order of the model: 1 in low precision, 0 in high.
    """

    # identity
    weights_sha256: str
    checkpoint_id: str
    scheme_id: Annotated[str, key("of what low precision means: the scheme with nothing kept")]
    eval_id: str
    device_type: str
    granularity: Annotated[str, key("what is assigned as one: layer (a decoder block) or matmul (one matrix)")]
    search: Annotated[
        str, key("how the assignment was found; none: the 16-bit model, single: one layer or matrix alone is low")
    ]
    target_ratio: Annotated[
        float | None, key("quantization ratio that the search had to reach; null where a trial serves every ratio")
    ]
    number: Annotated[int, key("of the trial within its search, from 0")]
    # checkpoint
    family: str
    model: str
    run: str
    train_seed: int
    # training
    step: int
    tokens_seen: int
    learning_rate: float | None
    lr_fraction: float | None
    lr_phase: str | None
    schedule: str
    # size
    n_params_total: int
    n_params_non_embedding: int
    n_layers: int
    d_model: int
    # scheme
    method: str
    format: str
    bits: int
    group_size: int | None
    symmetric: bool
    activation_format: str | None
    activation_bits: int | None
    activation_group_size: int | None
    # assignment
    search_seed: Annotated[int, covariate("seed of the search's draws and of the text it scores on")]
    assignment: Annotated[str, covariate("a digit a matrix, block after block: 1 in low precision, 0 in high")]
    quantized_ratio: Annotated[
        float, covariate("parameters in low precision over those of the blocks' linear layers (Qr)")
    ]
    estimated_nats: Annotated[float | None, covariate("rise of the loss that the search expected, nats a token")]
    # evaluation
    eval_dataset: str
    eval_sha256: str
    n_sequences: int
    seq_len: int
    eval_dtype: str
    # outcome
    # null where it isn't a number
    loss_nats: Annotated[float | None, outcome("mean loss on the search's text, nats a token")]
    top1_accuracy: Annotated[float, outcome("share of tokens for which the likeliest token is the right one")]
    # provenance
    measured_at: str
    git_commit: str | None
    device_name: str
    schema_version: int
