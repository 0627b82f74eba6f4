"""Count a chapter's numbers again from the tables, by another way, and compare them with what the chapter glued.

    make recount NN=03      the executed chapter of the last `make book`
    make recount            every chapter that has a recount

`recount_03.py` beside this file holds `numbers()`, which returns key -> value; `EXCEPTED`, key -> why it isn't counted again;
and `TOLERANCES`, key -> relative tolerance where `TOLERANCE` is too narrow. Nothing here imports from `helpers`.
"""

import ast
import functools
import importlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml
from scipy import stats

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9  # of sums, means and t intervals: the order of additions moves the last digits of 16
RECORD = "application/papermill.record/"
SPLITS = {
    "wheels-heldout": "evaluation",
    "wheels-unseen": "unseen",
    "wheels-prose": "prose",
}  # text: its key in the lock
SEEDED = frozenset({"tadpole-seeds", "tadpole-ninth"})  # the families of other training seeds


# ---- what a chapter glued --------------------------------------------------------------------------------------------


def glued(path: Path) -> dict[str, int | float | str]:
    """Return every number and text that an executed notebook glues, by its key; figures are left out.

    Raises ValueError for a key that is glued twice with different values.
    """
    found = {}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            data = {mime.removeprefix(RECORD): content for mime, content in output.get("data", {}).items()}
            if name is None or data.keys() != {"text/plain"}:
                continue
            value = literal("".join(data["text/plain"]))
            if found.setdefault(name, value) != value:
                raise ValueError(f"{name} is glued twice, as {found[name]!r} and {value!r}")
    return found


def literal(text: str) -> int | float | str:
    """Return the number or text that was written as Python writes it; ValueError for anything else."""
    value = float(text) if text in ("nan", "inf", "-inf") else ast.literal_eval(text)
    if not isinstance(value, int | float | str):
        raise ValueError(f"{text} is neither a number nor a text")
    return value


def counts_as_number(value: float | str) -> bool:
    """Return whether a glued value says a quantity: a number, or a text with a digit in it, such as 954M."""
    return not isinstance(value, str) or any(character.isdigit() for character in value)


def same(one: float | str, other: float | str, tolerance: float) -> bool:
    """Return whether two values agree: texts and whole numbers exactly, others relatively."""
    if isinstance(one, str) or isinstance(other, str) or (isinstance(one, int) and isinstance(other, int)):
        return one == other
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=1e-14)


def disagreements(
    found: Mapping[str, float | str],
    counted: Mapping[str, float | str],
    excepted: Mapping[str, str],
    tolerances: Mapping[str, float],
) -> list[str]:
    """Return what is wrong with a recount, one line each: values that differ, that are missing, that nobody glues."""
    faults = [f"{key}: counted and excepted" for key in counted.keys() & excepted.keys()]
    for key in sorted((counted.keys() | excepted.keys()) - found.keys()):
        faults.append(f"{key}: not glued (any more)")
    faults += [f"{key}: has a tolerance, but isn't counted" for key in tolerances.keys() - counted.keys()]
    for key, value in found.items():
        if key not in counted and key not in excepted and counts_as_number(value):
            faults.append(f"{key}: glued as {value!r}, not counted again")
        if key in counted and not same(value, plain(counted[key]), tolerances.get(key, TOLERANCE)):
            faults.append(f"{key}: glued as {value!r}, counted as {plain(counted[key])!r}")
    return faults


def plain(value: object) -> int | float | str:
    """Return Python's own number for one of numpy's."""
    return value.item() if isinstance(value, np.generic) else value


# ---- the tables ------------------------------------------------------------------------------------------------------


@functools.cache
def table(name: str) -> tuple[dict, ...]:
    """Return the rows of results/NAME.parquet, measurements by id; lists of numbers become float64 arrays."""
    read = pq.read_table(ROOT / "results" / f"{name}.parquet", page_checksum_verification=True)
    if "measurement_id" in read.column_names:
        read = read.sort_by("measurement_id")
    columns = {column: read[column].to_pylist() for column in read.column_names}
    for field in read.schema:
        if str(field.type).startswith("list") and "string" not in str(field.type):
            columns[field.name] = [None if v is None else np.array(v, float) for v in columns[field.name]]
    return tuple(dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def checkpoints() -> tuple[dict, ...]:
    """Return the rows of the table of checkpoints, averages of weights among them."""
    return table("checkpoints")


@functools.cache
def measurements(name: str = "measurements") -> tuple[dict, ...]:
    """Return the `ok` rows of a table of measurements; each quantized one has `qid` and `document_qid`, in nats a token.

    QiD is the loss less that of the same weights in 16 bits on the same tokens and kind of device, in the same table;
    `document_qid` is an array, one difference a document; draws of noise keep no losses by document and have none.
    """
    usable = [row for row in table(name) if row["status"] == "ok"]
    rounded = [row for row in usable if row["method"] != "none"]
    baselines = {twin_key(row): row for row in usable if row["method"] == "none"}
    if len(baselines) + len(rounded) != len(usable):
        raise ValueError(f"{name}: two 16-bit rows of the same weights, text and device")
    for row in rounded:
        twin = baselines[twin_key(row)]
        row["qid"] = row["loss_nats"] - twin["loss_nats"]
        if row["noise_seed"] is None:
            row["document_qid"] = row["group_loss"] - twin["group_loss"]
    return tuple(usable)


def twin_key(row: dict) -> tuple:
    """Return what a rounded row shares with its 16-bit one: weights, text and kind of device."""
    return row["weights_sha256"], row["eval_id"], row["device_type"]


def where(rows: Iterable[dict], **wanted: object) -> list[dict]:
    """Return the rows whose columns have the values asked for; a set stands for any of its members."""
    return [row for row in rows if all(_fits(row[name], value) for name, value in wanted.items())]


def _fits(value: object, wanted: object) -> bool:
    return value in wanted if isinstance(wanted, set | frozenset) else value == wanted


def study(text: str = "wheels-heldout") -> list[dict]:
    """Return the study's measurements on one text: GPUs, 512 sequences, the first draw of calibration text; all families."""
    return where(measurements(), device_type="cuda", n_sequences=512, eval_dataset=text, calib_seed={None, 0})


def trunk(rows: Iterable[dict]) -> list[dict]:
    """Return of any rows those of the trunk: no branches, no averages, no other family."""
    return [row for row in rows if row["family"] == "tadpole-trunk" and row["run"] == row["model"]]


def grouped(rows: Iterable[dict], *names: str) -> dict[object, list[dict]]:
    """Return the rows by one column's value, or by a tuple of several columns' values, in the order met."""
    groups: dict[object, list[dict]] = {}
    for row in rows:
        groups.setdefault(row[names[0]] if len(names) == 1 else tuple(row[name] for name in names), []).append(row)
    return groups


def distinct(rows: Iterable[dict], *names: str) -> set:
    """Return the distinct values of a column, or of several together."""
    return set(grouped(rows, *names))


def plans() -> Iterator[dict]:
    """Yield the training plans as their YAML has them, by the files' names, but for those on a part of the text."""
    for path in sorted((ROOT / "sweeps").glob("train-tadpole-*.yml")):
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "unique_tokens" not in plan:
            yield plan


# ---- formulas --------------------------------------------------------------------------------------------------------


def standard_error(values: Iterable[float]) -> float:
    """Return the standard error of a mean of independent values: the paired error, if they are documents' differences."""
    values = np.asarray(list(values), float)
    return math.sqrt(sum((values - values.mean()) ** 2) / (len(values) - 1) / len(values))


@functools.cache
def packages_of(text: str) -> tuple[str, ...]:
    """Return the package of each document of a text, in the documents' order."""
    lock = json.loads((ROOT / "data/corpus.lock").read_text(encoding="utf-8"))
    return tuple(file["package"] for file in lock[SPLITS[text]])


def package_error(documents: np.ndarray, text: str) -> float:
    """Return the standard error of a mean over a text's documents, of which those of one package go together."""
    sums: dict[str, float] = {}
    for package, value in zip(packages_of(text), documents - documents.mean(), strict=True):
        sums[package] = sums.get(package, 0.0) + value
    variance = math.fsum(value**2 for value in sums.values()) * len(sums) / (len(sums) - 1)
    return math.sqrt(variance) / len(documents)


def half_width(values: Iterable[float], share: float = 0.95) -> float:
    """Return half of the t interval of a mean of independent values."""
    values = list(values)
    return stats.t.ppf((1 + share) / 2, len(values) - 1) * standard_error(values)


def geometric_mean(values: Iterable[float]) -> float:
    """Return the n-th root of a product of n positive values."""
    logarithms = [math.log(value) for value in values]
    return math.exp(math.fsum(logarithms) / len(logarithms))


def signed(value: float, digits: int) -> str:
    """Return a number with its sign as the book writes it, with so many digits behind the point: +0.12, −0.30."""
    return f"{value:+.{digits}f}".replace("-", "−")


def label(count: float) -> str:
    """Return a count as the book writes it, three digits at most: 0.15M, 14.2M, 1.4B, 1.5T."""
    unit, suffix = next(((u, s) for u, s in ((1e12, "T"), (1e9, "B")) if count >= u), (1e6, "M"))
    return f"{count / unit:.3g}{suffix}"


# ---- one chapter -----------------------------------------------------------------------------------------------------


def recounted() -> list[str]:
    """Return the numbers of the chapters that have a recount, such as 03."""
    return sorted(path.stem.removeprefix("recount_") for path in Path(__file__).parent.glob("recount_[0-9][0-9].py"))


def executed(number: str) -> Path:
    """Return where `make book` leaves a chapter."""
    (chapter,) = (ROOT / "chapters").glob(f"{number}-*.py")
    return ROOT / "book" / "executed" / f"{chapter.stem}.ipynb"


def faults(number: str, notebook: Path) -> list[str]:
    """Return how an executed chapter and its recount disagree."""
    module = importlib.import_module(f"tests.recount.recount_{number}")
    return disagreements(glued(notebook), module.numbers(), module.EXCEPTED, module.TOLERANCES)


def main(words: list[str]) -> int:
    """Run from the command line with a chapter's number, or `all`; 1 if anything disagrees."""
    (wanted,) = words
    numbers = recounted() if wanted == "all" else [wanted]
    n_faults = 0
    for number in numbers:
        found = faults(number, executed(number))
        print("\n".join([*(f"{number} {fault}" for fault in found), f"{number}: {len(found)} disagreements"]))
        n_faults += len(found)
    return int(n_faults > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
