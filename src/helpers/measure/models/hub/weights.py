"""A commit's weights: which files they are, and how they come to this disk, verified."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from helpers.measure.models.hub import kept, pickled
from helpers.measure.models.hub.downloads import damage_of, downloaded
from helpers.measure.models.hub.revisions import HubError, HubFile, Revision
from helpers.measure.models.hub.storage import SHARED, Storage
from helpers.measure.models.shards import INDEX, SINGLE, hash_of_all, refuse_second_answer, shards_of

PICKLE, PICKLES = "pytorch_model.bin", "pytorch_model.bin.index.json"
SMALL = ("config.json", "tokenizer.json", INDEX, PICKLES)  # what says which files are the weights, and what they are
FILES_AT_ONCE = 4
ONLY_PICKLES = "only a pickle"


def described(revision: Revision) -> Path:
    """Return a commit's folder with its small files, downloaded if need be. Raises HubError, ResultsError."""
    return kept.small_files(revision, SMALL)


def files_of(revision: Revision, from_pickle: bool = False) -> tuple[HubFile, ...]:
    """Return the files that are a commit's weights, the pickles where there are no others and these are accepted.

    Its small files must be here. Raises HubError for none, CheckpointError for two answers to which they are.
    """
    folder = kept.folder_of(revision)
    listed = revision.file(INDEX) is not None
    if listed or revision.file(SINGLE) is not None:
        names = shards_of(folder / INDEX) if listed else [SINGLE]
        refuse_second_answer(folder, names, lambda name: revision.file(name) is not None)
        return _present(revision, names)
    names = shards_of(folder / PICKLES, ".bin") if revision.file(PICKLES) is not None else [PICKLE]
    if revision.file(names[0]) is None:
        raise HubError(f"{revision.label}: {SINGLE}: missing (accepted: a revision with safetensors)")
    if not from_pickle:
        accepted = "accepted: safetensors, or `from_pickle: true` in the sweep's part, which converts it"
        raise HubError(f"{revision.label}: {names[0]}: a pickle, which can run code; {accepted}", ONLY_PICKLES)
    return _present(revision, names)


def are_pickles(files: tuple[HubFile, ...]) -> bool:
    """Tell whether weights are pickles."""
    return files[0].name.endswith(".bin")


def sha256_of_weights(revision: Revision, files: tuple[HubFile, ...]) -> str | None:
    """Return the hash of a commit's weights as rows have it, without a byte of them; None where only they tell."""
    if are_pickles(files):
        return pickled.remembered(kept.folder_of(revision))
    hashes = {file.name: file.sha256 for file in files if file.sha256 is not None}
    return hash_of_all(hashes) if len(hashes) == len(files) else None


def hash_of_pickles(files: tuple[HubFile, ...]) -> str | None:
    """Return the hash of pickled weights, whose converted ones have another; None for safetensors."""
    hashes = {file.name: file.sha256 or file.git_sha1 or "" for file in files}
    return hash_of_all(hashes) if are_pickles(files) else None


def fetch(revision: Revision, from_pickle: bool = False, storage: Storage = SHARED) -> Path:
    """Return a commit's folder with links to its weights, which are downloaded and converted if need be, verified.

    Every file's hash is held against the Hub's; what differs is removed and fetched once more.
    Raises HubError, CheckpointError, and ResultsError where the disk refuses.
    """
    described(revision)
    files = files_of(revision, from_pickle)
    folder = kept.small_files(revision, SMALL, storage.checkpoint(revision))
    if are_pickles(files):
        for path in sorted(_converted(revision, files, storage).iterdir()):
            kept.link(folder / path.name, path)
        return folder
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        for path in pool.map(lambda file: verified(revision, file, storage), files):
            kept.link(folder / path.name, path)
    return folder


def n_bytes_to_fetch(revision: Revision, files: tuple[HubFile, ...], storage: Storage = SHARED) -> int:
    """Return the bytes of a commit's weights that aren't on this disk."""
    if are_pickles(files) and pickled.files_in(storage.converted(revision)):
        return 0
    return sum(file.n_bytes or 0 for file in files if storage.here(revision, file.name) is None)


def verified(revision: Revision, file: HubFile, storage: Storage) -> Path:
    """Return a file of a commit on this disk whose bytes are those that the Hub says.

    A copy that is damaged is removed, unless it lies in others' cache beside the run's own, and fetched once.
    """
    said = None
    for _ in range(2):
        here = storage.here(revision, file.name)
        foreign = here is not None and here[1] != storage.cache(revision)
        if here is not None and damage_of(here[0], file) is None:
            return here[0]
        if here is not None and not foreign:
            _remove(here[0])
        path = downloaded(revision, file.name, cache_dir=storage.cache(revision))
        said = damage_of(path, file)
        if said is None:
            return path
        _remove(path)
    raise HubError(f"{revision.label}: {file.name} isn't what the Hub says, twice ({said}); nothing of it is kept")


def _converted(revision: Revision, files: tuple[HubFile, ...], storage: Storage) -> Path:
    """Return the folder of what pickles were converted to, now or before."""
    place = storage.converted(revision)
    if not pickled.files_in(place):
        pickled.convert([verified(revision, file, storage) for file in files], place)
    pickled.remember(place, kept.folder_of(revision), revision.label)
    return place


def _present(revision: Revision, names: list[str]) -> tuple[HubFile, ...]:
    """Return files of a commit by their names. Raises HubError for one that it lacks."""
    files = []
    for name in names:
        file = revision.file(name)
        if file is None:
            raise HubError(f"{revision.label}: {name}: missing, though the index names it")
        files.append(file)
    return tuple(files)


def _remove(path: Path) -> None:
    """Remove a file of huggingface_hub's cache: its name in the snapshot, and the content that the name leads to."""
    content = path.resolve()
    path.unlink(missing_ok=True)
    content.unlink(missing_ok=True)
