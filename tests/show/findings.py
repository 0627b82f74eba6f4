"""Findings made by hand, with a name that HTML and Markdown would obey."""

from helpers.analyse.judgement.expected import Expected
from helpers.analyse.judgement.one_model import Finding

NAME = "<script>alert(1)</script> | *bold*"


def finding(qid: float = 0.2, **other) -> Finding:
    """Return one finding."""
    fields = {
        "scheme": "gptq 3 bits g64",
        "text": NAME,
        "method": "gptq",
        "bits": 3,
        "group_size": 64,
        "stored_bits": 3.3,
        "loss_nats": 2.7,
        "baseline_loss_nats": 2.5,
        "baseline_bits_per_byte": 0.8,
        "qid_nats": qid,
        "qid_se_nats": 0.02,
        "perplexity_ratio": 1.22,
        "kl_nats": 0.1,
        "top1_agreement": 0.9,
        "n_documents": 16,
        "n_draws": 1,
        "draws_sd_nats": None,
        "expected": Expected("power", 0.4, 0.3, 0.5, ()),
        "kind": "as expected",
        "verdict": "as expected of 106M parameters",
    }
    return Finding(**(fields | other))
