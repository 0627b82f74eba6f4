"""The tree of exceptions.

QidError
|- SpecError           a sweep, family or record says something that isn't accepted
|- CheckpointError     weights are missing, altered or of an unknown structure
|- CorpusError         text is missing or too short
|- QuantizationError   a layer can't be rounded as the scheme says
|- DeviceError         the device failed in the middle of the work
|- AnalysisError       the table doesn't hold what an analysis needs
`- ResultsError        the table can't be read, or another process holds it
"""

from helpers.table.words import one_line


class QidError(Exception):
    """Base of every error this package raises on purpose; its text is one line for a person."""

    def __str__(self) -> str:
        return one_line(super().__str__())


class SpecError(QidError):
    """A sweep, family or record says something that isn't accepted."""


class CheckpointError(QidError):
    """Weights are missing, altered, or of a structure that isn't known."""


class CorpusError(QidError):
    """Text for training, calibration or evaluation is missing or too short."""


class QuantizationError(QidError):
    """A layer can't be rounded as the scheme says."""


class DeviceError(QidError):
    """The device failed in the middle of the work."""


class AnalysisError(QidError):
    """The table doesn't hold what an analysis needs: a baseline, per-document losses, one scheme at a time."""


class ResultsError(QidError):
    """The table of measurements can't be read, or another process holds it."""
