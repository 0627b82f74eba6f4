"""The place of weights from the Hub: huggingface_hub's cache, or a folder of a run's own that is kept small."""

import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache

from helpers.measure.models.hub import kept
from helpers.measure.models.hub.revisions import Revision

CACHE, CONVERTED, CHECKPOINT = "hub", "converted", "checkpoint"


@dataclass(frozen=True)
class Storage:
    """The place of weights: `own` is a run's own folder, None stands for the cache that all programs share.

    Only what lies in a folder of the run's own is ever evicted: nobody else put anything there. Each commit has a cache
    to itself in it, so that one is removed while the next one of the same repository comes. What the shared cache has
    already is used where it lies.
    """

    own: Path | None = None

    def cache(self, revision: Revision) -> Path:
        """Return the folder that a commit is downloaded to, laid out as huggingface_hub's cache."""
        return Path(constants.HF_HUB_CACHE) if self.own is None else self._folder(self.own, revision) / CACHE

    def converted(self, revision: Revision) -> Path:
        """Return the folder of a commit's weights that were converted from pickles."""
        if self.own is None:
            return self._folder(kept.home() / CONVERTED, revision)
        return self._folder(self.own, revision) / CONVERTED

    def checkpoint(self, revision: Revision) -> Path:
        """Return the folder in which a commit is a checkpoint: links to its small files and to its weights.

        In a folder of a run's own it goes with the weights, and no other run reads it.
        """
        return kept.folder_of(revision) if self.own is None else self._folder(self.own, revision) / CHECKPOINT

    def here(self, revision: Revision, name: str) -> tuple[Path, Path] | None:
        """Return a file of a commit that is on this disk, and the cache that it lies in; None where it isn't."""
        for cache in dict.fromkeys((self.cache(revision), Path(constants.HF_HUB_CACHE))):
            path = try_to_load_from_cache(revision.repository, name, cache_dir=cache, revision=revision.commit)
            if isinstance(path, str):
                return Path(path), cache
        return None

    def evict(self, commit: str) -> None:
        """Remove a commit's weights from a folder of the run's own."""
        for folder in self._commits():
            if folder.name == commit:
                shutil.rmtree(folder, ignore_errors=True)

    def clear(self, wanted: Collection[str]) -> None:
        """Remove from a folder of the run's own all but the commits in `wanted`, and what broke off while it came.

        Nobody else may be at work there.
        """
        for folder in self._commits():
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)
            for partial in folder.glob(f"{CACHE}/models--*/blobs/*.incomplete"):
                partial.unlink(missing_ok=True)

    def _commits(self) -> list[Path]:
        return [] if self.own is None else sorted(self.own.glob("*/*"))

    @staticmethod
    def _folder(place: Path, revision: Revision) -> Path:
        return place / kept.flat(revision.repository) / revision.commit


SHARED = Storage()
