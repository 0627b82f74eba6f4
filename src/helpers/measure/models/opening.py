"""A checkpoint opened, not loaded: its 16-bit parameters stay in their files until a block's turn comes."""

import functools
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from helpers.measure.models import checkpoints
from helpers.measure.models.decoders import decoder_of
from helpers.measure.models.stored import stamp_files, stamps_of
from helpers.measure.models.streaming.placing import put
from helpers.measure.models.trial import refuse_another_walk

KEPT_AS = {"BF16": torch.bfloat16, "F16": torch.float16}


def open_stored(checkpoint: checkpoints.LocalCheckpoint, device: str = "cpu") -> PreTrainedModel:
    """Return a decoder's checkpoint whose 16-bit parameters stay in their dtype, mapped from the files.

    Nothing is read before it is used. Whoever runs the model or computes with its weights widens them meanwhile, a
    block at a time (`stored`); buffers are those of the model in float32. Another `device` than the CPU is one that the
    model works on, streamed. Raises CheckpointError as `checkpoints.load`.
    """
    files = checkpoints.weight_files(checkpoint.folder)
    before = stamps_of(files)
    checkpoints.refuse_other_weights(checkpoint)
    config = checkpoints.config_of(checkpoint.folder)
    checkpoints.refuse_other_numbers(checkpoint.folder)
    kind = _narrow_class(config, _stored_kinds(checkpoint.folder))
    model = checkpoints.ready(checkpoints.model_from(checkpoint.folder, config, kind))
    stamp_files(model, before)
    if device != "cpu":
        put(model, device, streamed=True)
    refuse_another_walk(decoder_of(model))
    return model


def _narrow_class(config: PretrainedConfig, kinds: dict[str, torch.dtype]) -> type[Any]:
    """Return the class of a configuration's models, whose parameters wait for numbers of the stored `kinds`.

    One that isn't stored under its name waits for the narrowest kind that holds them all. AutoModelForCausalLM where
    there is no such class, which says so.
    """
    fallback: type[Any] = AutoModelForCausalLM
    try:
        parent: type[Any] = fallback._model_mapping[type(config)]
    except KeyError:
        return fallback
    widest = functools.reduce(torch.promote_types, kinds.values())

    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        parent.__init__(self, *args, **kwargs)
        for name, parameter in self.named_parameters():
            parameter.data = parameter.data.to(kinds.get(name, widest))
        self.__class__ = parent

    return type(parent.__name__, (parent,), {"__init__": initialise, "__module__": parent.__module__})


def _stored_kinds(folder: Path) -> dict[str, torch.dtype]:
    """Return the dtype in which each tensor is kept, by its name in the files: no wider than float32."""
    return {name: KEPT_AS.get(part.get_dtype(), torch.float32) for _, name, part in checkpoints.stored_parts(folder)}
