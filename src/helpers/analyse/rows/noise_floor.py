"""The noise floor: the QiD below which a difference is nothing but noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from helpers.analyse.rows.degradation import TOKENS_SEEN
from helpers.analyse.rows.noise import (
    EvaluationError,
    calibration_draws,
    evaluation_error,
    training_seeds,
    without_rounding,
)
from helpers.analyse.rows.outcomes import QID, Outcome
from helpers.analyse.rows.scored_text import scored_both_ways, scored_text_relative
from helpers.analyse.rows.study import LATE_TOKENS, gptq_of_study, on_trunk, rows_of_seeds
from helpers.table.errors import AnalysisError

NO_EVALUATION = EvaluationError(0.0, 0.0, 1, float("nan"))  # of an outcome that isn't kept by document


@dataclass(frozen=True)
class NoiseFloor:
    """The noise of one QiD of one bit width, in parts: relative ones are standard deviations over QiD.

    Leave the device's part at zero where rows compared come from one kind of device, the format's where they share
    formats. A floor is twice the root of the sum of squares: a QiD that differs from a fixed number (a prediction) by
    less means nothing. That of one model is about a trained model at hand; that of another run, with the training
    seed's part, about a prediction for a model that is trained anew.
    """

    bits: float
    evaluation: EvaluationError
    calibration_relative: float
    training_seed_relative: float
    device_relative: float = 0.0
    number_format_relative: float = 0.0
    scored_text_relative: float = 0.0  # between protocols that score more or less of each document; of_another_protocol

    @property
    def rounding_relative(self) -> float:
        """Return the sum in quadrature of the parts that grow with QiD, but for the training seed's."""
        return float(np.hypot(np.hypot(self.calibration_relative, self.device_relative), self.number_format_relative))

    def of_one_model(self, qid_nats: float) -> float:
        """Return the floor in nats per token of the QiD `qid_nats` of one trained model."""
        return 2 * np.hypot(self.rounding_relative * qid_nats, self.evaluation.at(qid_nats))

    def of_another_run(self, qid_nats: float) -> float:
        """Return the floor in nats per token of the QiD `qid_nats` that is predicted for another training run."""
        return np.hypot(self.of_one_model(qid_nats), 2 * self.training_seed_relative * qid_nats)

    def of_another_protocol(self, qid_nats: float) -> float:
        """Return the floor in nats per token of a QiD measured by a protocol that scores another part of documents.

        It has the part of the scored text (`scored_text.scored_text_relative`) beside those of one model.
        """
        return np.hypot(self.of_one_model(qid_nats), 2 * self.scored_text_relative * qid_nats)

    @property
    def smallest_qid_nats(self) -> float:
        """Return the QiD that equals its own floor of one model; infinite where noise grows faster than QiD.

        Raises AnalysisError where the evaluation's error falls as fast as QiD or faster: nothing sets an end then.
        """
        if self.evaluation.exponent >= 1:
            raise AnalysisError(f"an error that goes as QiD^{self.evaluation.exponent:.2f} sets no smallest QiD")
        left = 1 - 4 * self.rounding_relative**2
        if left <= 0:
            return float("inf")
        return (4 * self.evaluation.scale_nats**2 / left) ** (0.5 / (1 - self.evaluation.exponent))


def study_floors(measurements: pd.DataFrame, groups: Sequence[str], outcome: Outcome = QID) -> dict[float, NoiseFloor]:
    """Return by bits the noise floor of the study's rows beyond 60M tokens, from the project's table.

    It holds for the rows of `gptq_of_study` on the held-out text, one draw of calibration text each; draws are compared
    on the trunk. `groups`: the package of each held-out document. An outcome that isn't kept by document (KL) has no
    part of the evaluation: how far other documents would move it isn't known, and its floor is that of these documents.
    RTN has no calibration: of its floor only `evaluation` is known. The scored text's part is that of RTN, which alone
    was scored by both protocols; NaN where no checkpoint was.
    """
    rows = gptq_of_study(measurements)
    first, calibration = rows[rows["calib_seed"] == 0], calibration_draws(rows[on_trunk(rows)], outcome)
    between = training_seeds(rows_of_seeds(first[first[TOKENS_SEEN] > LATE_TOKENS]), outcome)
    seed = without_rounding(between, calibration)["relative_sd"]
    relative, by_bits = calibration["relative_sd"], first.groupby("bits")
    known = {bits: evaluation_error(one, groups) if outcome.paired else NO_EVALUATION for bits, one in by_bits}
    scored = _scored_text(measurements, outcome)
    return {
        bits: NoiseFloor(
            bits,
            evaluation,
            float(relative[bits]),
            float(seed[bits]),
            scored_text_relative=scored.get(bits, float("nan")),
        )
        for bits, evaluation in known.items()
    }


def _scored_text(measurements: pd.DataFrame, outcome: Outcome) -> dict[float, float]:
    """Return by bits how far the length that is scored moves a late outcome of RTN; empty where none was scored so."""
    try:
        both = scored_both_ways(measurements, outcome)
    except AnalysisError:
        return {}
    return (
        scored_text_relative(both[both[TOKENS_SEEN] > LATE_TOKENS])["relative_sd"].xs("rtn", level="method").to_dict()
    )
