"""FAMILY/MODEL: what the study trains and measures as one."""

from dataclasses import dataclass
from pathlib import Path

from helpers.table.errors import SpecError
from helpers.table.names import refuse_name


@dataclass(frozen=True)
class Unit:
    """One model of one trained family: what is trained, then measured, before the next."""

    folder: Path  # of the family; its name is the family's
    model: str

    @classmethod
    def parse(cls, text: str, families: Path) -> "Unit":
        """Read FAMILY/MODEL, trained in a folder of `families`. Raises SpecError for anything else."""
        family, slash, model = text.partition("/")
        if not slash or not family or not model or "/" in model:
            raise SpecError(f"'{text}' isn't a unit; accepted: FAMILY/MODEL, for example tadpole-trunk/tadpole-64x3")
        refuse_name(family, "FAMILY")
        refuse_name(model, "MODEL")
        return cls(families / family, model)

    @property
    def family(self) -> str:
        """Return the family's name."""
        return self.folder.name
