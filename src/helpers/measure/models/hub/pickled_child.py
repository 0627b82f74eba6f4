"""The process that reads pickled weights: `python -I pickled_child.py OUT PICKLE ...`; only files and memory are open.

Once torch is loaded, a hook of the interpreter refuses sockets, other processes and code from elsewhere.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "pty.", "ctypes.")


def refuse(event: str, _arguments: tuple[object, ...]) -> None:
    """Raise PermissionError for what no reading of weights needs."""
    if event.startswith(REFUSED):
        raise PermissionError(f"{event} while a pickle is read")


def tensors_in(path: Path) -> dict[str, torch.Tensor]:
    """Return a pickle's tensors by name, no two sharing memory. Raises ValueError for anything else in it."""
    content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path.name}: {type(content).__name__} where tensors by name are expected")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            raise ValueError(f"{path.name}: {name!r:.80} isn't a dense tensor")
    return {name: value.detach().clone().contiguous() for name, value in content.items()}


def name_of(pickle: Path) -> str:
    """Return the name of a converted file, as transformers names them."""
    return f"{pickle.stem.replace('pytorch_model', 'model')}.safetensors"


def main(out: Path, pickles: list[Path]) -> None:
    """Convert pickles one after another; write the index where there are several."""
    where: dict[str, str] = {}
    for pickle in pickles:
        tensors = tensors_in(pickle)
        save_file(tensors, out / name_of(pickle), metadata={"format": "pt"})
        where |= dict.fromkeys(tensors, name_of(pickle))
    if len(pickles) > 1:
        index = {"metadata": {}, "weight_map": dict(sorted(where.items()))}
        (out / "model.safetensors.index.json").write_text(json.dumps(index))


def said_of(error: Exception) -> str:
    """Return the line of an error that says what is wrong: torch's advice on what isn't tensors takes many."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line.strip() for line in lines if "Unpickler error" in line), lines[0])


if __name__ == "__main__":
    sys.addaudithook(refuse)
    try:
        main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
    except Exception as error:  # whatever a file that isn't weights makes its reader raise
        sys.exit(said_of(error))
