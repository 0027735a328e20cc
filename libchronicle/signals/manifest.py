"""What a model file does not say of itself, in a JSON file of its name beside it.

{"version": 1, "model": "lean.onnx", "sha256": …,             the bytes it belongs to
 "columns": ["imbalance_5", …], "specs": ["imbalance depth=5", …], "feature_hash": …,
                                                              what goes in, in order, parameters and all
 "mean": […], "scale": […], "clip": 0.0,                      x -> (x - mean) / scale, within ±clip unless that is 0
 "input": "X", "output": {"name": …, "kind": "classes", "classes": [-1, 0, 1]},
 "samples": {"inputs": […], "outputs": […], "tolerance": 1e-5}}  what the training framework gave for some vectors
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Literal

import msgspec

from libchronicle.errors import BadModel, ModelMismatch
from libchronicle.signals.vector import FeatureSet, fingerprint_of, spec_of

__all__ = ["Manifest", "Output", "Samples", "manifest_path", "probable"]

_LARGEST = 16 << 20
_LARGEST_MODEL = 1 << 30
_LOOSE = 1e-3


class Output(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`classes`: probabilities of directions, -1 sell, 0 neither, 1 buy, in the model's order. `value`: one number, above 0 to
    buy; `scale` is one that makes a signal of half strength."""

    name: str
    kind: Literal["classes", "value"]
    classes: tuple[int, ...] = ()
    scale: float = 1.0

    @property
    def width(self) -> int:
        return len(self.classes) if self.kind == "classes" else 1


class Samples(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`inputs` are vectors as features give them, not normalised."""

    inputs: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]
    tolerance: float = 1e-5


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a model takes and gives; see the head of this file for what each field means."""

    version: Literal[1] = 1
    model: str
    sha256: str
    columns: tuple[str, ...]
    specs: tuple[str, ...]
    feature_hash: str
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    clip: float = 0.0
    input: str
    output: Output
    samples: Samples

    def validate(self, file: str) -> Manifest:
        """Itself, if it agrees with itself. Raises BadModel."""
        width = len(self.columns)
        faults = {
            "columns is empty": not width,
            "feature_hash is not that of specs": fingerprint_of(self.specs) != self.feature_hash,
            "mean and scale are not as many as columns": {len(self.mean), len(self.scale)} != {width},
            "mean, scale or clip is no number": not all(
                map(math.isfinite, (*self.mean, *self.scale, self.clip))
            ),
            "scale has a number that is not above 0": any(not s > 0 for s in self.scale),
            "clip is below 0": self.clip < 0,
            "classes are not two or more of -1, 0, 1, each once": self.output.kind == "classes"
            and (len(self.output.classes) < 2 or not _directions(self.output.classes)),
            "output scale is not above 0": not 0 < self.output.scale < math.inf,
            "samples are none": not self.samples.inputs,
            "samples have more inputs than outputs, or fewer": len(self.samples.inputs)
            != len(self.samples.outputs),
            f"a sample's input is not {width} wide": any(len(row) != width for row in self.samples.inputs),
            f"a sample's output is not {self.output.width} wide": any(
                len(row) != self.output.width for row in self.samples.outputs
            ),
            "a sample is no number": not all(
                map(math.isfinite, chain(*self.samples.inputs, *self.samples.outputs))
            ),
            "tolerance is not between 0 and 0.001": not 0 < self.samples.tolerance <= 1e-3,
        }
        for reason, is_so in faults.items():
            if is_so:
                raise BadModel(file=file, reason=f"{reason}; package the model anew")
        return self

    def fits(self, file: str, features: FeatureSet) -> None:
        """Are these the features the model was made for? Raises ModelMismatch, which names the first that is not."""
        if features.fingerprint == self.feature_hash and features.names == self.columns:
            return
        found = tuple(map(spec_of, features.features))
        for place in range(max(len(found), len(self.specs))):
            here = found[place] if place < len(found) else "none"
            wanted = self.specs[place] if place < len(self.specs) else "none"
            if here != wanted:
                raise ModelMismatch(file=file, what=f"feature {place + 1}", found=here, wanted=wanted)
        raise ModelMismatch(
            file=file, what="columns", found=", ".join(features.names), wanted=", ".join(self.columns)
        )


def probable(chances: Sequence[float]) -> bool:
    """Whether these are probabilities of all there is, as far as single precision tells."""
    return all(-_LOOSE <= one <= 1 + _LOOSE for one in chances) and abs(math.fsum(chances) - 1) <= _LOOSE


def manifest_path(file: str | Path) -> Path:
    """Of a model, or of its manifest."""
    return Path(file).with_suffix(".json")


def load(file: str | Path) -> tuple[Manifest, bytes]:
    """The manifest, and the bytes of the model beside it, which are those it names. `file` is either of them.

    Raises:
        BadModel: one of them is missing, damaged, or not what was packaged.
    """
    path = manifest_path(file)
    if not path.is_file():
        raise BadModel(file=str(path), reason="is not there; package_model writes it beside the model")
    try:
        manifest = msgspec.json.decode(read_file(path, _LARGEST), type=Manifest).validate(str(path))
    except msgspec.DecodeError as error:
        raise BadModel(file=str(path), reason=f"is no manifest of a model: {error}") from error
    if not manifest.model or Path(manifest.model).name != manifest.model:
        raise BadModel(file=str(path), reason=f"model {manifest.model!r} is not in the manifest's directory")
    model = path.with_name(manifest.model)
    if Path(file).suffix != ".json" and Path(file).name != manifest.model:
        raise BadModel(
            file=str(file),
            reason=f"the manifest beside it is that of {manifest.model}; package_model makes one",
        )
    raw = read_file(model, _LARGEST_MODEL)
    found = hashlib.sha256(raw).hexdigest()
    if found != manifest.sha256:
        reason = f"is not the model that was packaged: SHA-256 {found[:16]}…, the manifest has {manifest.sha256[:16]}…"
        raise BadModel(file=str(model), reason=reason)
    return manifest, raw


def save(manifest: Manifest, path: Path) -> None:
    """Whole or not at all."""
    raw = msgspec.json.format(msgspec.json.encode(manifest.validate(str(path))), indent=1)
    half = path.with_name(f"{path.name}.{os.getpid()}.half")
    try:
        half.write_bytes(raw + b"\n")
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


def read_file(path: Path, most: int = _LARGEST_MODEL) -> bytes:
    """Raises BadModel."""
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise BadModel(file=str(path), reason=f"cannot be read: {error.strerror}") from error
    if len(raw) > most:
        raise BadModel(file=str(path), reason=f"is larger than {most:,} bytes")
    return raw


def _directions(classes: tuple[int, ...]) -> bool:
    return len(set(classes)) == len(classes) and set(classes) <= {-1, 0, 1}
