"""ONNX models: loaded only with the features they were made for, and checked against what the training framework gave.

Needs the `onnx` extra. One thread, no spinning: a prediction of a small model takes some tens of microseconds of the
thread that asks.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from libchronicle.errors import BadModel, HostError, InvalidArgument, ModelMismatch
from libchronicle.signals import manifest as manifests
from libchronicle.signals.manifest import Manifest, Output, Samples, probable
from libchronicle.signals.vector import FeatureSet, spec_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ModelReport", "OnnxModel", "check_model", "package_model"]

_TYPES = {"tensor(float)": "float32", "tensor(double)": "float64"}
_ROUNDS = 1_000
_STATE = "onnxruntime.capi.onnxruntime_pybind11_state"  # where its errors are


class OnnxModel:
    """A packaged model. `features`: those it will be given.

    Raises BadModel, ModelMismatch, HostError (the extra is not installed).
    """

    def __init__(self, file: str | Path, features: FeatureSet | None = None) -> None:
        self.manifest, raw = manifests.load(file)
        self.file = str(manifests.manifest_path(file).with_name(self.manifest.model))
        if features is not None:
            self.manifest.fits(self.file, features)
        self._session = _Session(self.file, raw, self.manifest.output.name)
        self._session.fits(self.manifest.input, len(self.manifest.columns), self.manifest.output.width)
        import numpy as np

        self._mean, self._scale = np.array(self.manifest.mean), np.array(self.manifest.scale)

    def predict(self, vector: Sequence[float]) -> list[float]:
        """The outputs for one vector, as features give it. Raises InvalidArgument: another length, or nulls."""
        import numpy as np

        values = np.asarray(vector, np.float64)
        if values.shape != self._mean.shape or not np.isfinite(values).all():
            allowed = f"{len(self._mean)} numbers, none of them null"
            raise InvalidArgument(where=self.file, field="vector", value=values.tolist(), allowed=allowed)
        found: list[float] = self._session.run(self.normalised(values[np.newaxis, :]))[0].tolist()
        return found

    def predict_many(self, vectors: Any) -> np.ndarray[Any, Any]:
        """The outputs for an array of vectors, one a row."""
        import numpy as np

        return self._session.run(self.normalised(np.asarray(vectors, np.float64)))

    def normalised(self, vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """(x - mean) / scale, within ±clip unless that is 0."""
        found: np.ndarray[Any, Any] = (vectors - self._mean) / self._scale
        clip = self.manifest.clip
        return found.clip(-clip, clip) if clip else found

    def worst_difference(self) -> float:
        """Between what it gives for the samples of its manifest, and what the training framework gave."""
        import numpy as np

        samples = self.manifest.samples
        found = self.predict_many(samples.inputs)
        return float(np.abs(found - np.array(samples.outputs)).max())


class ModelReport(msgspec.Struct, frozen=True):
    """`worst_difference` of `samples` samples from the training framework's outputs, within `tolerance`."""

    file: str
    sha256: str
    columns: tuple[str, ...]
    feature_hash: str
    output: str
    samples: int
    worst_difference: float
    tolerance: float
    us_per_prediction: float


def check_model(file: str | Path, features: FeatureSet | None = None) -> ModelReport:
    """Load a model, run its samples. Raises what OnnxModel raises, and BadModel when outputs are not those of the samples."""
    model = OnnxModel(file, features)
    told, worst = model.manifest, model.worst_difference()
    if not worst <= told.samples.tolerance:  # NaN is not
        reason = (
            f"its outputs are up to {worst:.3g} from the samples', allowed are {told.samples.tolerance:.3g}"
        )
        raise BadModel(file=model.file, reason=reason)
    if told.output.classes and not all(map(probable, model.predict_many(told.samples.inputs).tolist())):
        reason = f"{told.output.name} is not of probabilities, which sum to 1; export them, not what they are made of"
        raise BadModel(file=model.file, reason=reason)
    first = told.samples.inputs[0]
    model.predict(first)
    start = perf_counter_ns()
    for _ in range(_ROUNDS):
        model.predict(first)
    each = (perf_counter_ns() - start) / _ROUNDS / 1000
    kind = (
        f"probabilities of {', '.join(map(str, told.output.classes))}" if told.output.classes else "a value"
    )
    return ModelReport(
        file=model.file,
        sha256=told.sha256,
        columns=told.columns,
        feature_hash=told.feature_hash,
        output=f"{told.output.name}: {kind}",
        samples=len(told.samples.inputs),
        worst_difference=worst,
        tolerance=told.samples.tolerance,
        us_per_prediction=round(each, 1),
    )


def package_model(
    file: str | Path,
    features: FeatureSet,
    *,
    mean: Iterable[float],
    scale: Iterable[float],
    inputs: Iterable[Iterable[float]],
    outputs: Iterable[Iterable[float]],
    output: str,
    kind: Literal["classes", "value"] = "classes",
    classes: Iterable[float] = (-1, 0, 1),
    value_scale: float = 1.0,
    clip: float = 0.0,
    tolerance: float = 1e-5,
) -> Manifest:
    """Write the manifest of an exported model beside it.

    `mean`, `scale`: how training normalised the columns. `inputs`: some vectors as the features give them (20 are plenty),
    `outputs`: what the training framework gave for them. `output`: the name of the model's
    output of probabilities, or of its value.

    Raises:
        BadModel: the file is no model, or gives other outputs than training.
        ModelMismatch: it takes or gives another number of values.
    """
    path = Path(file)
    raw = manifests.read_file(path)
    told = Output(output, kind, _whole(classes, str(path)) if kind == "classes" else (), value_scale)
    session = _Session(str(path), raw, output)
    manifest = Manifest(
        model=path.name,
        sha256=hashlib.sha256(raw).hexdigest(),
        columns=features.names,
        specs=tuple(map(spec_of, features.features)),
        feature_hash=features.fingerprint,
        mean=tuple(map(float, mean)),
        scale=tuple(map(float, scale)),
        clip=float(clip),
        input=session.input,
        output=told,
        samples=Samples(_rows(inputs), _rows(outputs), tolerance),
    )
    manifest.validate(str(path))
    session.fits(session.input, len(manifest.columns), told.width)
    place = manifests.manifest_path(path)
    before = place.read_bytes() if place.exists() else None
    manifests.save(manifest, place)
    try:
        check_model(path, features)
    except BadModel:
        place.unlink() if before is None else place.write_bytes(before)
        raise
    return manifest


def _whole(classes: Iterable[float], file: str) -> tuple[int, ...]:
    """A training framework names them by the type of its targets: 1.0 is 1 too. Raises BadModel."""
    named = tuple(classes)
    if any(one not in (-1, 0, 1) for one in named):
        shown = ", ".join(map(str, named))
        raise BadModel(
            file=file, reason=f"classes are {shown}; they must be -1 (sell), 0 (neither) and 1 (buy)"
        )
    return tuple(map(int, named))


def _rows(rows: Iterable[Iterable[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in rows)


class _Session:
    """onnxruntime, with its errors as ours."""

    def __init__(self, file: str, raw: bytes, output: str) -> None:
        self.file, self.output = file, output
        try:
            import onnxruntime as ort
        except ImportError as error:
            reason = "not installed: pip install 'libchronicle[onnx]'"
            raise HostError(path="onnxruntime", reason=reason) from error
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._faults = tuple(
            kind
            for kind in vars(sys.modules[_STATE]).values()
            if isinstance(kind, type) and issubclass(kind, Exception)
        )
        try:
            self._session = ort.InferenceSession(raw, options, providers=["CPUExecutionProvider"])
        except self._faults as error:
            raise BadModel(file=file, reason=f"is no ONNX model: {_first_line(error)}") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ModelMismatch(file=file, what="number of inputs", found=len(inputs), wanted="1 vector")
        self.input, self._shape = inputs[0].name, inputs[0].shape
        self._type = _TYPES.get(inputs[0].type)
        if self._type is None:
            raise ModelMismatch(
                file=file, what="type of the input", found=inputs[0].type, wanted=", ".join(_TYPES)
            )

    def fits(self, name: str, width: int, outputs: int) -> None:
        """Raises ModelMismatch."""
        if self.input != name:
            raise ModelMismatch(file=self.file, what="name of the input", found=self.input, wanted=name)
        if len(self._shape) != 2 or (isinstance(self._shape[1], int) and self._shape[1] != width):
            raise ModelMismatch(
                file=self.file, what="shape of the input", found=self._shape, wanted=f"[any, {width}]"
            )
        given = {out.name: out for out in self._session.get_outputs()}
        if self.output not in given:
            raise ModelMismatch(file=self.file, what="output", found=", ".join(given), wanted=self.output)
        if given[self.output].type not in _TYPES:
            found = f"{given[self.output].type} (skl2onnx: options={{'zipmap': False}})"
            raise ModelMismatch(
                file=self.file, what=f"type of {self.output}", found=found, wanted=", ".join(_TYPES)
            )
        import numpy as np

        shape = self.run(np.zeros((1, width))).shape
        if shape != (1, outputs):
            raise ModelMismatch(file=self.file, what="shape of the output", found=shape, wanted=(1, outputs))

    def run(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        try:
            given: Any = self._session.run([self.output], {self.input: rows.astype(self._type)})[0]
        except self._faults as error:
            raise BadModel(file=self.file, reason=f"cannot be run: {_first_line(error)}") from error
        found: np.ndarray[Any, Any] = given
        if found.ndim >= 2:
            return found
        if found.size != len(rows):
            raise ModelMismatch(
                file=self.file, what="shape of the output", found=found.shape, wanted=f"[{len(rows)}, …]"
            )
        return found.reshape(len(rows), 1)


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__
