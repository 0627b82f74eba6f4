"""Pickled weights, converted in a process of its own: tensors alone, no network, no token, once."""

import io
import json
import os
import socket

import pytest
import torch
from safetensors.torch import load_file
from tests.measure.models.hub.checkpoint import NAME

from helpers.measure.models.hub import kept, pickled, pickled_child, weights
from helpers.measure.models.hub.downloads import sha256_of
from helpers.table.errors import CheckpointError

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3).half(), "b": torch.ones(3, dtype=torch.bool)}


def pickle_of(content: object) -> bytes:
    written = io.BytesIO()
    torch.save(content, written)
    return written.getvalue()


def written(tmp_path, content: object):
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(pickle_of(content))
    return path


class Opens:
    """Opens a socket when it is unpickled."""

    def __reduce__(self):
        return socket.socket, ()


def test_tensors_are_the_same_bits(tmp_path):
    tied = TENSORS | {"c": TENSORS["a.weight"]}  # one memory under two names, as of a tied head
    pickled.convert([written(tmp_path, tied)], tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.safetensors"]
    found = load_file(tmp_path / "out/model.safetensors")
    assert found.keys() == tied.keys()
    assert all(torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype for name, tensor in tied.items())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": Opens()}, "socket"),
        ([torch.ones(2)], "list where tensors by name are expected"),
        ({"a": torch.ones(2), "step": 5}, "'step' isn't a dense tensor"),
        ({}, "dict where tensors by name"),
    ],
)
def test_anything_but_tensors_is_one_line(tmp_path, content, said):
    with pytest.raises(CheckpointError, match=f"pytorch_model.bin: can't be converted .*{said}"):
        pickled.convert([written(tmp_path, content)], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["pytorch_model.bin"]


@pytest.mark.parametrize("event", ["socket.connect", "subprocess.Popen", "os.system", "os.posix_spawn"])
def test_the_process_refuses_what_no_reading_needs(event):
    with pytest.raises(PermissionError, match=event):
        pickled_child.refuse(event, ())
    pickled_child.refuse("open", ("file", "r", 0))


def test_the_process_knows_no_token_and_no_way_out(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy")
    bare = pickled._bare()
    assert not {"HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "https_proxy"} & bare.keys()
    assert bare["HF_HUB_OFFLINE"] == "1"
    assert bare["PATH"] == os.environ["PATH"]


def test_a_revision_with_pickles_alone_is_converted_once(hub):
    hub.repository(NAME).commit({"config.json": b"{}", "pytorch_model.bin": pickle_of(TENSORS)}, "step2")
    revision = kept.revision_of(NAME, "step2")
    folder = weights.fetch(revision, from_pickle=True)
    files = weights.files_of(revision, from_pickle=True)
    assert weights.sha256_of_weights(revision, files) == sha256_of(folder / "model.safetensors")
    assert weights.hash_of_pickles(files) == revision.file("pytorch_model.bin").sha256
    hub.log.clear()
    before = (folder / "model.safetensors").resolve().stat().st_mtime_ns
    assert weights.fetch(revision, from_pickle=True) == folder
    assert (folder / "model.safetensors").resolve().stat().st_mtime_ns == before
    assert hub.log == []


def test_shards_of_pickles_keep_their_index(hub):
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    parts = [{"a.weight": TENSORS["a.weight"]}, {"b": TENSORS["b"]}]
    index = json.dumps({"weight_map": {"a.weight": names[0], "b": names[1]}}).encode()
    files = {"config.json": b"{}", "pytorch_model.bin.index.json": index}
    hub.repository(NAME).commit(files | {n: pickle_of(p) for n, p in zip(names, parts, strict=True)}, "step2")
    folder = weights.fetch(kept.revision_of(NAME, "step2"), from_pickle=True)
    where = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    assert {name: load_file(folder / file)[name].tolist() for name, file in where.items()} == {
        name: tensor.tolist() for name, tensor in TENSORS.items()
    }
