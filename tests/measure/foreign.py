"""Folders in Hugging Face layout as a person has them: tiny trained models with a tokenizer of their own."""

import json
from pathlib import Path

import torch
from tests.measure.tiny import ROOT
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MixtralConfig,
    PretrainedConfig,
    Qwen2Config,
)

from helpers.measure.text.corpus_lock import DOCUMENT_BYTES, read_lock
from helpers.measure.text.heldout import read_heldout
from helpers.table.corpus import LOCK

N_TOKENS = 600  # of the vocabulary
START = "<s>"
SIZES = {
    "vocab_size": N_TOKENS,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def configuration(kind: str) -> PretrainedConfig:
    """Return the configuration of a tiny llama, qwen2, gpt2, mixtral or gpt_neox."""
    if kind == "gpt2":  # its inner width has a name of its own; dropout would make training another
        without = {name: size for name, size in SIZES.items() if name != "intermediate_size"}
        return GPT2Config(**without, n_inner=128, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
    if kind == "llama":
        return LlamaConfig(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)
    if kind == "mixtral":
        return MixtralConfig(**SIZES, num_key_value_heads=2, num_local_experts=5)
    return Qwen2Config(**SIZES, num_key_value_heads=2) if kind == "qwen2" else GPTNeoXConfig(**SIZES)


def texts() -> list[str]:
    """Return texts to train on: locked documents, so that no change of this project's sources makes another model."""
    return [_document(place) for place in range(7)]


def _document(place: int) -> str:
    """Return one of the documents held out from the tadpoles' training, cut as evaluations cut it."""
    file = read_lock(ROOT / LOCK).evaluation[place]
    return read_heldout(file)[:DOCUMENT_BYTES].decode("ascii")


def tokenizer() -> Tokenizer:
    """Return a byte-level BPE trained on `texts`, which puts a start token before what it encodes, as Llama's does."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts(), trainers.BpeTrainer(vocab_size=N_TOKENS, special_tokens=[START], initial_alphabet=alphabet)
    )
    made.post_processor = processors.TemplateProcessing(single=f"{START} $A", special_tokens=[(START, 0)])
    made.enable_padding(length=64)
    made.enable_truncation(64)
    return made


def write_model(folder: Path, kind: str, n_updates: int = 150) -> Path:
    """Write a model trained for a few updates, so that its loss is well below a guess; return its folder."""
    made = tokenizer()
    made.save(str(folder.parent / f"{folder.name}.json"))
    plain = Tokenizer.from_file(str(folder.parent / f"{folder.name}.json"))
    plain.no_padding()
    plain.no_truncation()
    ids = torch.tensor(plain.encode("\n".join(texts()), add_special_tokens=False).ids)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(configuration(kind))
        optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
        for _ in range(n_updates):
            starts = torch.randint(0, len(ids) - 65, (8,)).tolist()
            batch = torch.stack([ids[start : start + 64] for start in starts])
            model(input_ids=batch, labels=batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    model.eval().requires_grad_(False).to(torch.bfloat16).save_pretrained(folder)
    made.save(str(folder / "tokenizer.json"))
    return folder


def write_texts(path: Path, texts: list[str]) -> Path:
    """Write a .jsonl file, a document a line."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return path


def passages(n_documents: int) -> list[str]:
    """Return so many different documents of some 600 characters, none of them among `texts`."""
    whole = "".join(_document(place) for place in range(7, 14))
    return [whole[600 * i : 600 * (i + 1)] for i in range(n_documents)]
