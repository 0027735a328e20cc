"""Models: parity with scikit-learn, and every way in which a model can be the wrong one."""

from __future__ import annotations

import hashlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from feature_market import feed, gap, random_market

from libchronicle.cli.main import app
from libchronicle.errors import BadModel, ChronicleError, InvalidArgument, ModelMismatch
from libchronicle.protocol import Side
from libchronicle.signals import (
    DepthRatio,
    Ensemble,
    FeatureSet,
    Imbalance,
    ImbalanceSignal,
    ModelSignal,
    Momentum,
    NoSignal,
    OnnxModel,
    Signal,
    Spread,
    SpreadFilter,
    TradeFlowImbalance,
    check_model,
    package_model,
)

np = pytest.importorskip("numpy")
pytest.importorskip("onnxruntime", reason="needs the onnx extra")
pytest.importorskip("sklearn", reason="needs scikit-learn")
pytest.importorskip("skl2onnx", reason="needs skl2onnx")

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


def features() -> FeatureSet:
    return FeatureSet([Imbalance(5), Spread(), Momentum(2), TradeFlowImbalance(2), DepthRatio(5)])


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    """Vectors of a made-up market, and a direction for each that they tell something of."""
    live, rows = features(), []
    for record in random_market(31, 1_500):
        feed(live, record)
        if live.ready():
            rows.append(live.vector().tolist())
    x = np.array(rows)
    noise = np.random.default_rng(5).normal(0, 0.3, len(x))
    return x, np.digitize(x[:, 0] + 0.3 * x[:, 3] + noise, [-0.3, 0.3]) - 1


def trained(kind: str, x: Any, y: Any) -> tuple[Any, Any]:
    """A scaler and a model, as one trains them."""
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    models = {
        "logistic": lambda: LogisticRegression(),
        "boosted": lambda: GradientBoostingClassifier(n_estimators=20, random_state=1),
        "perceptron": lambda: MLPClassifier((16,), max_iter=40, random_state=1),
        "linear": lambda: LinearRegression(),
        "forest": lambda: RandomForestRegressor(n_estimators=10, random_state=1),
    }
    scaler = StandardScaler().fit(x)
    return scaler, models[kind]().fit(scaler.transform(x).astype(np.float32), y)


def exported(model: Any, width: int, file: Path) -> Path:
    from skl2onnx import to_onnx

    options = {"zipmap": False} if hasattr(model, "predict_proba") else None
    file.write_bytes(to_onnx(model, np.zeros((1, width), np.float32), options=options).SerializeToString())
    return file


def expected(scaler: Any, model: Any, x: Any) -> Any:
    scaled = scaler.transform(x).astype(np.float32)
    return (
        model.predict_proba(scaled)
        if hasattr(model, "predict_proba")
        else model.predict(scaled).reshape(-1, 1)
    )


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory, data: tuple[Any, Any]) -> Path:
    """lean.onnx and lean.json, once."""
    x, y = data
    scaler, model = trained("logistic", x, y)
    file = exported(model, x.shape[1], tmp_path_factory.mktemp("models") / "lean.onnx")
    package_model(
        file, features(), mean=scaler.mean_, scale=scaler.scale_, inputs=x[:20], outputs=expected(scaler, model, x[:20]),
        output="probabilities", classes=model.classes_.tolist(),
    )  # fmt: skip
    return file


@pytest.fixture
def model(packaged: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    for file in (packaged, packaged.with_suffix(".json")):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / packaged.name


def edit(file: Path, **changes: Any) -> None:
    path = file.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# ---------------------------------------------------------------- parity


@pytest.mark.parametrize("kind", ["logistic", "boosted", "perceptron", "linear", "forest"])
def test_outputs_are_those_of_the_training_framework(
    kind: str, data: tuple[Any, Any], tmp_path: Path
) -> None:
    x, y = data
    scaler, model = trained(kind, x, y)
    wanted = expected(scaler, model, x)
    file = exported(model, x.shape[1], tmp_path / "m.onnx")
    classifier = wanted.shape[1] > 1
    package_model(
        file, features(), mean=scaler.mean_, scale=scaler.scale_, inputs=x[:50], outputs=wanted[:50],
        output="probabilities" if classifier else "variable", kind="classes" if classifier else "value",
        classes=(-1, 0, 1),
    )  # fmt: skip
    loaded = OnnxModel(file, features())
    found = loaded.predict_many(x)
    assert np.abs(found - wanted).max() < 1e-5
    assert loaded.predict(x[3]) == pytest.approx(wanted[3], abs=1e-5)
    report = check_model(file)
    assert report.worst_difference < 1e-5
    assert (report.samples, report.columns) == (50, features().names)


def test_values_far_out_are_clipped_where_training_clipped_them(model: Path, data: tuple[Any, Any]) -> None:
    edit(model, clip=2.0)
    loaded = OnnxModel(model)
    far = data[0][:1] + 1e9
    assert loaded.normalised(far).max() == 2.0


# ---------------------------------------------------------------- signals of a model


def test_a_model_gives_signals_in_a_market(model: Path) -> None:
    signal = ModelSignal(model, min_strength=0.2, filters=[SpreadFilter(2_000)])
    live, sides = features(), set()
    for ts, message in random_market(32, 800):
        feed(live, (ts, message))
        outcome = signal(live, ts)
        if isinstance(outcome, Signal):
            sides.add(outcome.side)
            chances = signal.model.predict(live.vector())
            assert outcome.strength == pytest.approx(abs(chances[2] - chances[0]))
            assert outcome.confidence == pytest.approx(max(chances[2], chances[0]))
            assert (chances[2] > chances[0]) == (outcome.side is Side.BUY)
    assert sides == {Side.BUY, Side.SELL}
    assert signal.counts["none: weak"] > 0
    feed(live, gap(ts + 1))
    assert signal(live, ts + 2) == NoSignal("imbalance_5 unknown")


def test_a_value_makes_a_signal_that_nears_full_strength(data: tuple[Any, Any], tmp_path: Path) -> None:
    x, y = data
    scaler, model = trained("linear", x, y)
    file = exported(model, x.shape[1], tmp_path / "m.onnx")
    package_model(
        file, features(), mean=scaler.mean_, scale=scaler.scale_, inputs=x[:9], outputs=expected(scaler, model, x[:9]),
        output="variable", kind="value", value_scale=0.5,
    )  # fmt: skip
    signal, live = ModelSignal(file, min_strength=0.01), features()
    given = 0
    for ts, message in random_market(33, 300):
        feed(live, (ts, message))
        outcome = signal(live, ts)
        if isinstance(outcome, Signal):
            (value,) = signal.model.predict(live.vector())
            assert outcome.score == pytest.approx(value / (abs(value) + 0.5))
            given += 1
    assert given > 50


def test_an_ensemble_of_rules_and_model_switched_off_is_the_rules(model: Path) -> None:
    def rules() -> ImbalanceSignal:
        return ImbalanceSignal(threshold=0.1, persist_ms=50, min_confidence=0.1)

    off, on, alone = (
        Ensemble([rules(), ModelSignal(model)], [0.5, 0.5], enabled=False),
        Ensemble([rules(), ModelSignal(model)], [0.5, 0.5]),
        rules(),
    )
    live, differ = features(), 0
    for ts, message in random_market(34, 400):
        feed(live, (ts, message))
        outcome = alone(live, ts)
        assert off(live, ts) == outcome
        differ += on(live, ts) != outcome
    assert differ > 50


# ---------------------------------------------------------------- the wrong model


def test_features_in_another_order_are_refused_by_name(model: Path) -> None:
    swapped = FeatureSet([Spread(), Imbalance(5), Momentum(2), TradeFlowImbalance(2), DepthRatio(5)])
    with pytest.raises(
        ModelMismatch, match=r"feature 1 is spread_bps, the model was made for imbalance depth=5"
    ):
        OnnxModel(model, swapped)
    with pytest.raises(ModelMismatch, match="feature 1"):
        ModelSignal(model)(feed(swapped, *random_market(1, 5)), 0)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([Imbalance(5), Spread(), Momentum(2), TradeFlowImbalance(2)], "feature 5 is none"),
        (
            [Imbalance(5), Spread(), Momentum(3), TradeFlowImbalance(2), DepthRatio(5)],
            "feature 3 is momentum window=3s",
        ),
        (
            [Imbalance(5), Spread(), Momentum(2, step_ms=500), TradeFlowImbalance(2), DepthRatio(5)],
            "feature 3 is momentum window=2s step=500ms",
        ),
    ],
)
def test_features_with_other_parameters_are_refused(model: Path, others: list, told: str) -> None:
    with pytest.raises(ModelMismatch, match=told):
        check_model(model, FeatureSet(others))


def test_columns_that_are_not_those_of_the_features_are_refused(model: Path) -> None:
    edit(model, columns=list(reversed(features().names)))
    with pytest.raises(ModelMismatch, match="columns is imbalance_5, spread_bps"):
        check_model(model, features())


def test_a_dictionary_has_no_order_so_a_model_does_not_take_it(model: Path) -> None:
    with pytest.raises(InvalidArgument, match="a FeatureSet"):
        ModelSignal(model)(dict.fromkeys(features().names, 0.0), 0)


def no_manifest(model: Path) -> None:
    model.with_suffix(".json").unlink()


def no_model(model: Path) -> None:
    model.unlink()


def flipped(model: Path) -> None:
    raw = bytearray(model.read_bytes())
    raw[len(raw) // 2] ^= 1
    model.write_bytes(raw)


def not_onnx(model: Path) -> None:
    model.write_bytes(b"no model at all")
    edit(model, sha256=hashlib.sha256(b"no model at all").hexdigest())


def not_json(model: Path) -> None:
    model.with_suffix(".json").write_text("{")


def elsewhere(model: Path) -> None:
    edit(model, model="../lean.onnx")


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (no_manifest, r"lean.json: is not there; package_model writes it"),
        (no_model, r"lean.onnx: cannot be read: No such file"),
        (flipped, r"lean.onnx: is not the model that was packaged: SHA-256"),
        (not_onnx, r"lean.onnx: is no ONNX model"),
        (not_json, r"lean.json: is no manifest"),
        (elsewhere, r"is not in the manifest's directory"),
        (lambda m: edit(m, model=""), r"is not in the manifest's directory"),
        (lambda m: edit(m, version=2), r"is no manifest.*version"),
        (lambda m: edit(m, nosuch=1), r"is no manifest.*nosuch"),
        (lambda m: edit(m, mean=[0.0] * 4), r"mean and scale are not as many"),
        (lambda m: edit(m, scale=[0.0] * 5), r"scale has a number that is not above 0"),
        (lambda m: edit(m, clip=-1.0), r"clip is below 0"),
        (lambda m: edit(m, feature_hash="0" * 64), r"feature_hash is not that of specs"),
        (lambda m: edit(m, specs=["x"]), r"feature_hash is not that of specs"),
        (lambda m: edit(m, samples={"inputs": [], "outputs": []}), r"samples are none"),
        (lambda m: edit(m, samples={"inputs": [[0.0] * 4], "outputs": [[0.0] * 3]}), r"input is not 5 wide"),
        (lambda m: edit(m, samples={"inputs": [[0.0] * 5], "outputs": [[0.0] * 2]}), r"output is not 3 wide"),
        (lambda m: edit(m, samples={"inputs": [[0.0] * 5], "outputs": [[0.0] * 3]}), r"outputs are up to"),
        (lambda m: edit(m, mean=[0.5] * 5), r"outputs are up to"),
        (
            lambda m: edit(m, output={"name": "probabilities", "kind": "classes", "classes": [1, 1, 0]}),
            r"classes are not two or more",
        ),
    ],
)
def test_a_model_that_is_not_what_was_packaged_says_so(model: Path, spoil: Callable, told: str) -> None:
    spoil(model)
    with pytest.raises(BadModel, match=told):
        check_model(model)


def test_the_manifest_of_another_file_vouches_for_none(model: Path) -> None:
    other = model.with_name("other.onnx")
    other.write_bytes(b"something else")
    model.with_suffix(".json").rename(other.with_suffix(".json"))
    with pytest.raises(BadModel, match=r"other.onnx: the manifest beside it is that of lean.onnx"):
        check_model(other)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"input": "other"}, "name of the input is X, the model was made for other"),
        (
            {
                "output": {"name": "nosuch", "kind": "value"},
                "samples": {"inputs": [[0] * 5], "outputs": [[0]]},
            },
            "output is label",
        ),
        (
            {
                "output": {"name": "label", "kind": "value"},
                "samples": {"inputs": [[0] * 5], "outputs": [[0]]},
            },
            r"type of label is tensor\(int64\)",
        ),
        (
            {
                "output": {"name": "probabilities", "kind": "value"},
                "samples": {"inputs": [[0] * 5], "outputs": [[0]]},
            },
            "shape of the output",
        ),
    ],
)
def test_a_model_of_another_shape_is_refused(model: Path, changes: dict, told: str) -> None:
    edit(model, **changes)
    with pytest.raises(ModelMismatch, match=told):
        OnnxModel(model)


def test_a_vector_of_another_length_or_with_a_null_is_refused(model: Path) -> None:
    loaded = OnnxModel(model)
    for vector in ([0.0] * 4, [0.0] * 6, [0.0] * 4 + [math.nan]):
        with pytest.raises(InvalidArgument, match="5 numbers, none of them null"):
            loaded.predict(vector)


def test_a_model_that_gives_other_outputs_than_training_is_not_packaged(
    data: tuple[Any, Any], tmp_path: Path
) -> None:
    x, y = data
    scaler, model = trained("logistic", x, y)
    file = exported(model, x.shape[1], tmp_path / "m.onnx")
    settings = {"mean": scaler.mean_, "scale": scaler.scale_, "inputs": x[:5], "output": "probabilities"}
    with pytest.raises(BadModel, match="outputs are up to"):
        package_model(file, features(), outputs=expected(scaler, model, x[:5]) + 1e-3, **settings)
    assert not file.with_suffix(".json").exists()
    wrong = FeatureSet([Imbalance(5), Spread()])
    with pytest.raises(BadModel, match="mean and scale"):
        package_model(file, wrong, outputs=expected(scaler, model, x[:5]), **settings)
    with pytest.raises(ModelMismatch, match="shape of the input"):
        package_model(
            file,
            wrong,
            outputs=expected(scaler, model, x[:5]),
            mean=[0, 0],
            scale=[1, 1],
            inputs=x[:5, :2],
            output="probabilities",
        )


def made(file: Path, nodes: list[Any], shape: list[Any], **constants: Any) -> Path:
    """A model of three features X, and what `nodes` make of them as Y."""
    onnx = pytest.importorskip("onnx")
    number = onnx.TensorProto.FLOAT
    known = [onnx.numpy_helper.from_array(np.array(v, np.float32), name) for name, v in constants.items()]
    ends = (
        [onnx.helper.make_tensor_value_info("X", number, [None, 3])],
        [onnx.helper.make_tensor_value_info("Y", number, shape)],
    )
    graph = onnx.helper.make_graph([onnx.helper.make_node(*one) for one in nodes], "made", *ends, known)
    opset = [onnx.helper.make_opsetid("", 17)]
    file.write_bytes(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString())
    return file


def three() -> FeatureSet:
    return FeatureSet([Imbalance(5), Spread(), DepthRatio(5)])


@pytest.mark.parametrize("outputs", [[-2.0, -5.0, -1.0], [20.0, 0.0, -1.0], [0.9, 0.2, 0.9]])
def test_a_model_whose_outputs_are_no_probabilities_is_not_packaged(
    tmp_path: Path, outputs: list[float]
) -> None:
    nodes = [("MatMul", ["X", "none"], ["zero"]), ("Add", ["zero", "fixed"], ["Y"])]
    file = made(tmp_path / "m.onnx", nodes, [None, 3], none=np.zeros((3, 3)), fixed=[outputs])
    settings: dict[str, Any] = {"mean": [0] * 3, "scale": [1] * 3, "inputs": [[0.1, 1, 1]] * 2, "output": "Y"}
    with pytest.raises(BadModel, match="Y is not of probabilities, which sum to 1"):
        package_model(file, three(), outputs=[outputs] * 2, **settings)
    assert not file.with_suffix(".json").exists()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_samples_that_are_no_numbers_are_refused_as_such(tmp_path: Path, value: float) -> None:
    file = made(tmp_path / "m.onnx", [("Identity", ["X"], ["Y"])], [None, 3])
    settings: dict[str, Any] = {"mean": [0] * 3, "scale": [1] * 3, "output": "Y"}
    with pytest.raises(BadModel, match="a sample is no number"):
        package_model(file, three(), inputs=[[0.1, 1, 1]], outputs=[[value, 0, 1]], **settings)


def test_a_model_of_one_number_for_all_rows_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    file = made(tmp_path / "m.onnx", [("ReduceMax", ["X"], ["high"])], [])
    settings: dict[str, Any] = {"mean": [0] * 3, "scale": [1] * 3, "output": "Y", "kind": "value"}
    loaded = onnx.load_model_from_string(file.read_bytes())
    loaded.graph.node[0].attribute.append(onnx.helper.make_attribute("keepdims", 0))
    loaded.graph.node[0].output[0] = "Y"
    file.write_bytes(loaded.SerializeToString())
    with pytest.raises(ModelMismatch, match=r"shape of the output is \(\)"):
        package_model(file, three(), inputs=[[0.1, 1, 1]] * 3, outputs=[[1]] * 3, **settings)


def test_a_model_that_gives_no_probabilities_in_the_market_gives_no_signal(tmp_path: Path) -> None:
    file = made(tmp_path / "m.onnx", [("Identity", ["X"], ["Y"])], [None, 3])
    settings: dict[str, Any] = {"mean": [0] * 3, "scale": [1] * 3, "output": "Y"}
    package_model(file, three(), inputs=[[0.1, 0.2, 0.7]], outputs=[[0.1, 0.2, 0.7]], **settings)
    signal, live = ModelSignal(file), three()
    for record in random_market(3, 200):
        outcome = signal(feed(live, record), 1)
        assert isinstance(outcome, NoSignal)
    assert outcome.reason == "the model gave no probabilities"


@pytest.mark.parametrize("names", [[-1.0, 0.0, 1.0], ["sell", "neither", "buy"]])
def test_classes_may_be_floats_of_training_and_nothing_else(
    data: tuple[Any, Any], tmp_path: Path, names: list[Any]
) -> None:
    x, y = data
    scaler, model = trained("logistic", x, y)
    file = exported(model, x.shape[1], tmp_path / "m.onnx")
    settings = {"mean": scaler.mean_, "scale": scaler.scale_, "inputs": x[:5], "output": "probabilities"}
    settings |= {"outputs": expected(scaler, model, x[:5]), "classes": names}
    if names[0] == -1:
        assert package_model(file, features(), **settings).output.classes == (-1, 0, 1)
    else:
        with pytest.raises(BadModel, match=r"classes are sell, neither, buy; they must be -1"):
            package_model(file, features(), **settings)


# ---------------------------------------------------------------- chronicle model check


def test_the_command_tells_of_a_good_model_and_of_a_bad_one(model: Path) -> None:
    names = "imbalance:5,spread,momentum:2,trade_flow:2,depth_ratio:5"
    good = CliRunner().invoke(app, ["model", "check", str(model), "--features", names])
    assert good.exit_code == 0, good.output
    assert "as packaged" in good.output
    assert "20, at most" in good.output
    as_json = CliRunner().invoke(app, ["model", "check", str(model.with_suffix(".json")), "--json"])
    assert json.loads(as_json.output)["feature_hash"] == features().fingerprint
    other = CliRunner().invoke(app, ["model", "check", str(model), "--features", "vector"])
    assert isinstance(other.exception, ModelMismatch)
    flipped(model)
    bad = CliRunner().invoke(app, ["model", "check", str(model)])
    assert isinstance(bad.exception, BadModel)
    assert isinstance(bad.exception, ChronicleError)
