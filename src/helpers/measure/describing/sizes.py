"""The sizes that a description says, held against the model: they are columns that laws are fitted to."""

from helpers.measure.models.decoders import Decoder
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError

ANOTHER_COUNT = 2  # tied embeddings counted twice, positions left out: counts of one model differ by less than this


def refuse_other_sizes(spec: CheckpointSpec, decoder: Decoder) -> None:
    """Raise CheckpointError where a trained family's description says other sizes than the model has.

    Numbers of parameters (whose conventions differ) may be up to half or twice the model's. What is described of a
    model on the Hub isn't read from a file: tests hold it against the shapes.
    """
    if spec.revision is not None:
        return
    embedding = decoder.model.get_input_embeddings().weight
    found = {
        "n_layers": len(decoder.blocks),
        "d_model": int(getattr(decoder.model.config, "hidden_size", spec.d_model)),
        "vocabulary_size": embedding.shape[0],
        "n_params_total": sum(parameter.numel() for parameter in decoder.model.parameters()),
        "n_params_non_embedding": sum(parameter.numel() for parameter in decoder.blocks.parameters()),
    }
    for name, size in found.items():
        said = getattr(spec, name)
        factor = ANOTHER_COUNT if name.startswith("n_params") else 1
        if not size / factor <= said <= size * factor:
            accepted = f"{size:,}, as the weights have" if factor == 1 else f"about {size:,}, as the weights have"
            raise CheckpointError(f"'{name}' is {said:,} in the description; accepted: {accepted}")
