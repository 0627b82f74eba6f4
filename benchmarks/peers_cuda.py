"""Times GPTQModel, llm-compressor and this project on one device: `python benchmarks/peers_cuda.py [WORK|PROGRAM ...]`.

Each program gets the same random bfloat16 weights, written once as safetensors, the same tokens, and a process of its
own, one after another: of .venv-peers (`make peers`) where that is, else of this interpreter. The peers go through what
their user must: load, quantize, save, reload, score, one scheme after another, at their defaults and tuned
(`peers/*_timed.py` say how). A warm-up on a model of one block of the same widths comes first and isn't counted.
`seconds_per_quantized_checkpoint` is the median over schemes (those begun within `ENOUGH_SECONDS`) of quantize + save +
reload + score. A program that isn't there or fails is a row with its reason.

Rows are kept in benchmarks/results/peers_cuda.json as soon as they are there; those of another work or program stay.
"""

import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from report import fill_ratios, merge
from works import BF16, FP32, REL_DAMP, WORKS, Work, named, random_tokens, write_weights

CHILDREN = Path(__file__).resolve().parent / "peers"
PEERS_PYTHON = Path(".venv-peers/bin/python")
PACKAGES = {"ours": "helpers", "llmcompressor": "llmcompressor", "gptqmodel": "gptqmodel"}
PROGRAMS = {
    "ours": ("ours", False),
    "llm-compressor tuned": ("llmcompressor", True),
    "GPTQModel tuned": ("gptqmodel", True),
    "llm-compressor defaults": ("llmcompressor", False),
    "GPTQModel defaults": ("gptqmodel", False),
}
STAGES = ("load", "quantize", "save", "reload", "score")
COUNTED = STAGES[1:]
LIMIT_SECONDS = 480  # of one program on one work
QUIET = {"TORCHDYNAMO_DISABLE": "1", "GPTQMODEL_CPU_WORKERS": "2", "OMP_WAIT_POLICY": "PASSIVE"}  # on a CPU


def interpreter(package: str) -> Path | None:
    """Return the Python that has a program: the project's own, that of `make peers`, or this one; None for none."""
    if package != "helpers" and PEERS_PYTHON.exists():
        return PEERS_PYTHON.absolute()
    return Path(sys.executable) if importlib.util.find_spec(package) else None


def timed(program: str, request: dict[str, Any], text: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Return the answer of a program's process, with the reason why it has none or ended early under `reason`."""
    package, tuned = PROGRAMS[program]
    python = interpreter(PACKAGES[package])
    if python is None:
        return {"reason": f"{package}: not installed; `make peers` installs it into .venv-peers"}
    with tempfile.TemporaryDirectory(prefix=f"{package}-") as place:
        exchange = Path(place)
        (exchange / "request.json").write_text(json.dumps(request | {"tuned": tuned, "asked_at": time.time()}))
        save_file(text, exchange / "text.safetensors")
        reason = ended(
            [str(python), str(CHILDREN / f"{package}_timed.py"), place],
            place,
            QUIET | os.environ if request["device"] == "cpu" else dict(os.environ),
        )
        answer = exchange / "answer.json"
        return (json.loads(answer.read_text()) if answer.exists() else {}) | {"reason": reason}


def ended(command: Sequence[str], place: str, environment: dict[str, str]) -> str | None:
    """Run a child in `place`, its words kept there; return why it didn't end well, or None."""
    path = os.pathsep.join(
        str(Path(each).resolve()) for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each
    )
    with (Path(place) / "said").open("w+") as said:
        try:
            subprocess.run(
                command,
                cwd=place,  # GPTQModel writes a folder of logs where it runs
                env=environment | {"PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                timeout=LIMIT_SECONDS,
                check=True,
            )
        except subprocess.TimeoutExpired:
            return f"not done in {LIMIT_SECONDS} s"
        except subprocess.CalledProcessError as error:
            said.seek(0)
            last = [line for line in said.read().splitlines() if line.strip()][-3:]
            return f"ended with {error.returncode}: {' | '.join(last)}"[-500:]
    return None


def row(name: str, work: Work, program: str, device: str, answer: dict[str, Any]) -> dict[str, Any]:
    """Return one line of the table."""
    cycles = answer.get("rows", [])
    whole = [each for each in cycles if each["reason"] is None]
    failures = [f"{each['bits']} bits: {each['reason']}" for each in cycles if each["reason"]]
    if answer["reason"]:
        failures.append(answer["reason"])
    if "warm_up_failed" in answer and not whole:
        failures.append(f"warm-up: {answer['warm_up_failed']}")
    medians = {
        f"seconds_{stage}": statistics.median(each[f"seconds_{stage}"] for each in whole) if whole else None
        for stage in STAGES
    }
    sums = [sum(each[f"seconds_{stage}"] for stage in COUNTED) for each in whole]
    return {
        "work": name,
        "program": program,
        "seconds_per_quantized_checkpoint": statistics.median(sums) if sums else None,
        **medians,
        "seconds_start": answer.get("seconds_start"),
        "seconds_warm_up": answer.get("seconds_warm_up"),
        "peak_memory_gib": max((each["peak_memory_gib"] for each in whole), default=None),
        "loss_nats": [each["loss_nats"] for each in whole],
        "bits": [each["bits"] for each in whole],
        "group_size": work.group_size,
        "calibration": list(work.calibration),
        "evaluation": list(work.evaluation),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "reason": "; ".join(failures) or None,
        "settings": answer.get("settings"),
        "versions": answer.get("versions"),
    }


def main(arguments: Sequence[str]) -> None:
    """Time the programs and works named, or all of them."""
    programs = [each for each in arguments if each in PROGRAMS] or list(PROGRAMS)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    for name in named([each for each in arguments if each not in PROGRAMS]):
        work = WORKS[name]
        text = {
            "calibration": random_tokens(work.calibration, work.config.vocab_size),
            "evaluation": random_tokens((work.evaluation[0], work.evaluation[1] + 1), work.config.vocab_size),
        }
        with tempfile.TemporaryDirectory(prefix=f"{name}-") as place:
            folder, warm_up = Path(place) / "model", Path(place) / "one-block"
            write_weights(work.config, folder, device)
            one_block = type(work.config)(**work.config.to_dict() | {"num_hidden_layers": 1})
            write_weights(one_block, warm_up, device)
            request = {
                "folder": str(folder),
                "warm_up": str(warm_up),
                "device": device,
                "dtypes": (BF16, BF16) if device == "cuda" else (FP32, FP32),
                "schemes": list(work.bits),
                "group_size": work.group_size,
                "rel_damp": REL_DAMP,
                "memory_gib": work.memory_gib,
                "threads": None if device == "cuda" else torch.get_num_threads(),
            }
            for program in programs:
                found = row(name, work, program, device, timed(program, request, text))
                print({key: value for key, value in found.items() if value is not None}, flush=True)
                merge("peers_cuda", [found], ("work", "program", "device"))
    fill_ratios()


if __name__ == "__main__":
    main(sys.argv[1:])
