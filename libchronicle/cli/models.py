"""`chronicle model check`."""

from __future__ import annotations

import typer

from libchronicle.cli.context import print_json
from libchronicle.signals import FeatureSet, ModelReport, check_model, features_named

__all__ = ["run_check"]


def run_check(file: str, features: str, *, as_json: bool) -> None:
    """Raises BadModel, ModelMismatch, InvalidArgument, HostError."""
    report = check_model(file, FeatureSet(features_named(features)) if features else None)
    if as_json:
        print_json(report)
        return
    for line in _lines(report):
        typer.echo(line)


def _lines(report: ModelReport) -> list[str]:
    difference = (
        f"{report.worst_difference:.1e} from the training framework's (allowed {report.tolerance:.0e})"
    )
    return [
        f"{report.file}: as packaged (SHA-256 {report.sha256[:16]}…)",
        f"features   {len(report.columns)}: {', '.join(report.columns)} (hash {report.feature_hash[:16]}…)",
        f"output     {report.output}",
        f"samples    {report.samples}, at most {difference}",
        f"prediction {report.us_per_prediction} µs",
    ]
