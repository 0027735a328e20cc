"""Signals of a model's outputs.

classes   u, d the probabilities of 1 and of -1: strength |u - d|, confidence the larger of them, the side that of it
value     y: strength |y| / (|y| + scale), which nears 1 and never is it; confidence 1; buy above 0
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from libchronicle.errors import InvalidArgument
from libchronicle.protocol.enums import Side
from libchronicle.signals.generator import Filter, SignalGenerator, Values
from libchronicle.signals.manifest import probable
from libchronicle.signals.model import OnnxModel
from libchronicle.signals.outcomes import NoSignal, Outcome, Signal
from libchronicle.signals.vector import FeatureSet

__all__ = ["ModelSignal"]


class ModelSignal(SignalGenerator):
    """A packaged model as a generator; called with the FeatureSet it was made for, else ModelMismatch at the first call.

    No signal while a feature is null, below `min_strength`, and where the model gives no numbers or no probabilities.
    Raises InvalidArgument and what OnnxModel raises.
    """

    def __init__(
        self,
        model: OnnxModel | str | Path,
        *,
        min_strength: float = 0.1,
        name: str = "model",
        filters: Iterable[Filter] = (),
    ) -> None:
        super().__init__(filters=filters)
        if type(min_strength) not in (int, float) or not 0 < min_strength <= 1:
            allowed = "above 0, at most 1"
            raise InvalidArgument(
                where="ModelSignal", field="min_strength", value=min_strength, allowed=allowed
            )
        self.model = model if isinstance(model, OnnxModel) else OnnxModel(model)
        self.name, self.min_strength = name, min_strength
        self.needs = self.model.manifest.columns

    def check(self, values: Values) -> None:
        if not isinstance(values, FeatureSet):
            raise InvalidArgument(where=self.name, field="features", value=values, allowed="a FeatureSet")
        self.model.manifest.fits(self.model.file, values)
        super().check(values)

    def decide(self, values: Values, now_ns: int) -> Outcome:
        assert isinstance(values, FeatureSet)
        vector = values.vector(now_ns)
        if not all(map(math.isfinite, vector)):
            return NoSignal("a feature is unknown")
        outputs = self.model.predict(vector)
        if not all(map(math.isfinite, outputs)):
            return NoSignal("the model gave no number")
        if self.model.manifest.output.kind == "classes" and not probable(outputs):
            return NoSignal("the model gave no probabilities")
        lean, confidence = self._lean(outputs)
        strength = min(1.0, abs(lean))
        if strength < self.min_strength:
            return NoSignal("weak")
        return Signal(Side.BUY if lean > 0 else Side.SELL, strength, confidence, now_ns, self.name)

    def _lean(self, outputs: list[float]) -> tuple[float, float]:
        """Direction times strength, and confidence."""
        told = self.model.manifest.output
        if told.kind == "value":
            return outputs[0] / (abs(outputs[0]) + told.scale), 1.0
        chances = dict(zip(told.classes, outputs, strict=True))
        up, down = chances.get(1, 0.0), chances.get(-1, 0.0)
        return up - down, min(1.0, max(0.0, up, down))
