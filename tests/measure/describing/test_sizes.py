import dataclasses

import pytest
from tests.measure.tiny import describe, tiny_model

from helpers.measure.describing.sizes import refuse_other_sizes
from helpers.measure.models.decoders import decoder_of
from helpers.table.checkpoint import CheckpointSpec
from helpers.table.errors import CheckpointError


@pytest.fixture(scope="module")
def decoder():
    return decoder_of(tiny_model(seed=0).eval())


def described(decoder, **other) -> CheckpointSpec:
    fields = {field.name for field in dataclasses.fields(CheckpointSpec)}
    entry = describe(decoder.model, "tiny", "tiny", 1, "tiny", "0" * 64)
    return CheckpointSpec(**{name: value for name, value in entry.items() if name in fields} | other)


def test_a_true_description_is_accepted_and_counts_of_another_convention_are(decoder):
    spec = described(decoder)
    refuse_other_sizes(spec, decoder)
    embeddings = spec.n_params_total - spec.n_params_non_embedding
    refuse_other_sizes(described(decoder, n_params_total=spec.n_params_total - embeddings // 2), decoder)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("n_layers", 2),
        ("d_model", 2),
        ("vocabulary_size", 2),
        ("n_params_total", 1000),
        ("n_params_total", 0.001),
        ("n_params_non_embedding", 1000),
        ("n_params_non_embedding", 0.001),
    ],
)
def test_a_size_that_the_weights_contradict_is_refused(decoder, name, factor):
    """They were stored in the row, and N is what laws are fitted to."""
    spec = described(decoder)
    wrong = described(decoder, **{name: int(getattr(spec, name) * factor)})
    with pytest.raises(CheckpointError, match=f"'{name}' is [0-9,]+ in the description; accepted: .*as the weights"):
        refuse_other_sizes(wrong, decoder)
    refuse_other_sizes(dataclasses.replace(wrong, revision="main"), decoder)
