"""A process of its own that measures a checkpoint's folder and prints how its own memory (not the file's pages) grew.

Prints the peak's growth in bytes, then the loss of the 16-bit model and of the one rounded to nearest.
"""

import sys
import threading
from pathlib import Path

import torch

from helpers.measure.models import checkpoints, opening
from helpers.measure.rounding import methods
from helpers.measure.rounding.rounded import Checkpoint
from helpers.measure.scoring.evaluate import evaluate
from helpers.measure.text.token_blocks import Blocks
from helpers.table.scheme import QuantScheme

BUDGET = 2**31


def own_bytes() -> int:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon")]
    return 1024 * int(line.split()[1])


def main(folder: Path) -> None:
    seen, ended = [own_bytes()], threading.Event()

    def watch() -> None:
        while not ended.wait(0.005):
            seen.append(own_bytes())

    watcher = threading.Thread(target=watch)
    watcher.start()
    local = checkpoints.LocalCheckpoint(folder, checkpoints.weights_sha256(folder), None)
    checkpoint = Checkpoint(opening.open_stored(local), folder)
    ((answer,),) = methods.method_named("rtn").quantize([checkpoint], [QuantScheme("rtn", 4, 128, False)], None, BUDGET)
    tokens = torch.arange(34).reshape(2, 17)
    scores = evaluate([checkpoint], [[answer]], Blocks(tokens, (0, 1), 100, "0"), "float32", BUDGET)
    ended.set()
    watcher.join()
    print(max(seen) - seen[0], *(score.loss_nats for score in scores[0]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
