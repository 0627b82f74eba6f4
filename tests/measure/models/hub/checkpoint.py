"""The files of a checkpoint whose weights are any bytes: what fetches them doesn't look inside."""

import json

NAME = "someone/model"
SHARDS = {f"model-0000{i}-of-00002.safetensors": bytes([i]) * 3000 for i in (1, 2)}
INDEX = json.dumps({"metadata": {}, "weight_map": dict(zip("ab", SHARDS, strict=True))}).encode()
FILES = {"config.json": b'{"a": 1}', "tokenizer.json": b"{}", "model.safetensors": bytes(range(256)) * 20}
SHARDED = {"config.json": b'{"a": 1}', "model.safetensors.index.json": INDEX, **SHARDS}
