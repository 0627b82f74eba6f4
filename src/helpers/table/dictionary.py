"""What every column of the three tables means: the source of the book's data dictionary and of the Croissant card.

A role says what a column is for: `key` columns make a row what it is, `covariate`s describe the weights, how they were
rounded and on which text, `outcome`s are what was found, `diagnostics` what happened on the way, `provenance` when,
where and with what.
"""

import dataclasses
import typing
from dataclasses import dataclass

from helpers.table.records import type_name
from helpers.table.rows import CheckpointRow, Measurement, TrialRow

# Role -> column -> meaning, with the unit; what both tables have stands once.
SHARED = {
    "key": {
        "weights_sha256": "which weights: SHA-256 of the safetensors file, or a hash of those of its shards",
        "checkpoint_id": "first 16 digits of `weights_sha256`",
    },
    "covariate": {
        "family": "models made in the same way in several sizes",
        "model": "name of the size within the family",
        "run": "the training run, by a name of its own within the family",
        "train_seed": "seed of the run's initial weights and order of text",
        "branched_from": "the run that this one goes on from, or whose moments were averaged",
        "branched_at_step": "where it leaves that run, in updates",
        "n_averaged": "weights are the mean of so many moments of the run, the last at `step`; 1: no mean",
        "step": "updates made",
        "tokens_seen": "training tokens seen, repetitions counted (D)",
        "tokens_planned": "training tokens of the whole run as its schedule plans it",
        "unique_tokens": "tokens of the training text without repetition",
        "epochs": "passes over the training text: `tokens_seen` / `unique_tokens`",
        "learning_rate": "learning rate of the update that made `step`",
        "peak_learning_rate": "the run's largest learning rate",
        "lr_fraction": "`learning_rate` as a share of its peak",
        "lr_phase": "warmup, stable or decay",
        "schedule": "of the learning rate: constant, cosine or cooldown",
        "weight_decay": "AdamW's: an update takes this times the learning rate off each weight of a matrix",
        "n_params_total": "parameters with token embedding and output head",
        "n_params_non_embedding": "parameters without token embedding and output head (N)",
        "n_layers": "decoder blocks",
        "d_model": "width of the residual stream",
        "vocabulary_size": "rows of the token embedding, padding counted",
    },
}
MEASUREMENT = {
    "key": {
        "measurement_id": "hash of weights, scheme, evaluation, kind of device and version of the method",
        "scheme_id": "hash of the scheme's columns that differ from their defaults",
        "eval_id": "hash of the evaluation's columns that differ from their defaults",
        "method_version": "rises when what a method computes changes",
        "device_type": "cpu or cuda",
    },
    "covariate": {
        "method": "how weights were rounded; none: the 16-bit baseline",
        "bits": "bits of a code (P); null for the baseline",
        "group_size": "neighbouring weights of a row that share a scale; null: the whole row",
        "symmetric": "whether the grid has zero in its middle and so no zero point",
        "rel_damp": "damping asked for first, as a share of the Hessian's mean diagonal",
        "calib_dataset": "name of the calibration text",
        "calib_sha256": "hash of the calibration tokens",
        "calib_sequences": "calibration sequences",
        "calib_seq_len": "tokens a calibration sequence",
        "calib_seed": "seed of the draw of calibration sequences",
        "hessian_dtype": "number format of the calibration's forward pass and of the Hessian's products",
        "propagate": "what the next block is calibrated on: activations of the quantized or the full_precision blocks",
        "format": "of a code: int (evenly spaced), mxint, mxfp or nf4",
        "grid_search": "how a group's range is found: minmax, or mse (shrunk to the least squared error)",
        "order": "of columns in GPTQ: given, or activation (those with the largest inputs first)",
        "kept_matrices": "linear layers that stay in 16 bits, as block and layer: the assignment; empty: none",
        "assignment_sha256": "hash of `kept_matrices`; null where that is empty",
        "outlier_share": "share of each matrix's weights that stay in 16 bits",
        "average_bits": "mean bits of a code where each channel has bits of its own",
        "activation_format": "of the codes of the rounded matrices' inputs: mxint or int; null: they stay as they are",
        "activation_bits": "bits of such a code",
        "activation_group_size": "neighbouring inputs of a token that share a scale; null: all of them",
        "activation_exponent": "of int: the token's share in the scale of an input; the channel has the rest",
        "eval_dataset": "name of the evaluation text",
        "eval_sha256": "hash of the evaluation's tokens and of the map from blocks to documents",
        "n_sequences": "evaluation sequences",
        "seq_len": "predicted tokens an evaluation sequence",
        "eval_dtype": "number format of the evaluation",
    },
    "outcome": {
        "status": "ok, failed or nonfinite",
        "reason": "why it isn't ok, in one line",
        "loss_nats": "mean loss, nats a token",
        "bits_per_byte": "the loss in bits a byte of text",
        "kl_nats": "mean over tokens of KL(16-bit model || rounded model), nats a token; null for the baseline",
        "top1_agreement": "share of tokens for which both models hold the same token for the likeliest",
        "top1_accuracy": "share of tokens for which the likeliest token is the right one; null in rows of schema 3",
        "n_tokens": "predicted tokens",
        "n_bytes": "bytes of the text they stand for",
        "group_loss": "mean loss of each document, nats a token, in the order of the evaluation's map",
    },
    "diagnostics": {
        "mean_layer_error": "mean over layers of the relative error in the Hessian's norm",
        "max_layer_error": "largest of these",
        "max_rel_damp_used": "largest damping that a layer needed, as a share of its Hessian's mean diagonal",
        "n_layers_redamped": "layers that needed more damping than `rel_damp`",
        "n_dead_columns": "columns whose input was always zero, in all layers",
        "n_params_quantized": "weights that were rounded",
        "quantized_ratio": "of the parameters of the blocks' linear layers, the share that was rounded (Qr)",
        "effective_bits": "stored bits a rounded weight; scales, zero points, codebooks, outliers and places counted",
        "calib_micro_batch": "calibration sequences that passed a block together",
        "micro_batch": "evaluation sequences that passed a block together",
    },
    "provenance": {
        "repo_id": "where the weights were read from: a folder or a Hub repository",
        "revision": "of the Hub repository, as asked for",
        "commit": "of the Hub repository, as found",
        "measured_at": "date and time, UTC, ISO 8601",
        "git_commit": "of this project's checkout",
        "python": "version of Python",
        "torch": "version of PyTorch",
        "transformers": "version of transformers",
        "cuda": "version of CUDA; null on a CPU",
        "device_name": "the GPU, or the processor and its threads",
        "wall_seconds": "time of rounding and scoring, work that rows share divided among them, seconds",
        "peak_memory_gib": "largest memory of the process, or of the GPU, up to then, GiB",
        "schema_version": "of the columns",
    },
}
CHECKPOINT = {
    "outcome": {
        "loss_nats": "loss of the 16-bit model on held-out text, nats a token, from the family's manifest",
        "logit_entropy_nats": "mean entropy of the 16-bit model's prediction on held-out text, nats a token",
        "matrices": "names of the linear layers' weights W (rows, columns), block after block; the order of the lists",
        "previous_step": "of the checkpoint that `weight_change` is against, in updates",
        "weight_change": "||W - W_previous|| / ||W_previous|| of each matrix, Frobenius norm",
        "rtn_error_2_bits": "||W - Q|| / ||W|| of each matrix, Q to nearest at 2 bits, groups of 32, asymmetric",
        "rtn_error_3_bits": "the same at 3 bits",
        "rtn_error_4_bits": "the same at 4 bits",
        "weight_rms": "root mean square of each matrix",
        "weight_kurtosis": "of each matrix: fourth moment over the squared second, about zero; 3 for a Gaussian",
        "weight_max_over_rms": "largest magnitude of each matrix over its root mean square",
        "input_max_over_rms": "of each matrix's inputs: largest root mean square of a channel over the channels' mean",
        "input_kurtosis": "of each matrix's inputs: fourth moment over the squared second, all channels together",
        "hessian_trace": "trace of the mean loss's Hessian in all matrices, nats a squared weight: mean over probes",
        "hessian_trace_se": "standard error of that mean",
        "hessian_trace_by_block": "the parts of the trace that each block has",
    },
    "diagnostics": {
        "hessian_probes": "random vectors of the trace's estimate (Hutchinson)",
        "hessian_sequences": "sequences of held-out text that the Hessian is of",
        "hessian_seq_len": "predicted tokens each",
        "hessian_seed": "seed of the probes",
    },
    "provenance": {
        "eval_sha256": "hash of the held-out blocks",
        "calib_sha256": "hash of the calibration tokens, which gave the matrices' inputs",
        "device_type": "cpu or cuda",
    },
}
TRIAL = {
    "key": {
        "scheme_id": "of what low precision means: the scheme with nothing kept",
        "granularity": "what is assigned as one: layer (a decoder block) or matmul (one matrix)",
        "search": "how the assignment was found; none: the 16-bit model, single: one layer or matrix alone is low",
        "target_ratio": "quantization ratio that the search had to reach; null where a trial serves every ratio",
        "number": "of the trial within its search, from 0",
    },
    "covariate": {
        "search_seed": "seed of the search's draws and of the text it scores on",
        "assignment": "a digit a matrix, block after block: 1 in low precision, 0 in high",
        "quantized_ratio": "parameters in low precision over those of the blocks' linear layers (Qr)",
        "estimated_nats": "rise of the loss that the search expected, nats a token",
    },
    "outcome": {
        "loss_nats": "mean loss on the search's text, nats a token",
        "top1_accuracy": "share of tokens for which the likeliest token is the right one",
    },
}
_OWN_OF_TRIALS = {name for meanings in TRIAL.values() for name in meanings}
_FIELDS_OF_TRIALS = {field.name for field in dataclasses.fields(TrialRow)} - _OWN_OF_TRIALS
# A trial's other columns mean what a measurement's of that name do.
LIKE_MEASUREMENTS = tuple(
    {role: {n: meaning for n, meaning in part[role].items() if n in _FIELDS_OF_TRIALS} for role in part}
    for part in (SHARED, MEASUREMENT)
)
MEANINGS = {
    Measurement: (SHARED, MEASUREMENT),
    CheckpointRow: (SHARED, CHECKPOINT),
    TrialRow: (*LIKE_MEASUREMENTS, TRIAL),
}


@dataclass(frozen=True)
class Column:
    """One column of a table: `annotation` is its Python type, `role` one of those above."""

    name: str
    annotation: object
    role: str
    meaning: str

    @property
    def type_name(self) -> str:
        """Return the type as people read it, for example `int or null`."""
        return type_name(self.annotation)


def columns(record: type) -> list[Column]:
    """Return what is known of each field of a table's record, in their order."""
    hints = typing.get_type_hints(record)
    known = {
        name: (role, meaning)
        for part in MEANINGS[record]
        for role, meanings in part.items()
        for name, meaning in meanings.items()
    }
    return [Column(f.name, hints[f.name], *known[f.name]) for f in dataclasses.fields(record)]
