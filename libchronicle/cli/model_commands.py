"""The `chronicle model` group."""

from __future__ import annotations

from typing import Annotated

import typer

from libchronicle.cli.arguments import JsonOption

__all__ = ["model_app"]

model_app = typer.Typer(help="Models of machine learning.", no_args_is_help=True, rich_markup_mode="rich")


@model_app.callback()
def _group() -> None:
    """Models of machine learning."""


@model_app.command("check")
def check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The .onnx file, or its manifest (.json).")],
    features: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Also: was it made for these features, in this order?"),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Is this the model that was packaged, and does it give what the training framework gave?

    Checks the manifest, the checksum, the order of the features, shapes, and the outputs for the manifest's samples; measures a
    prediction. Exits with an error that says what is wrong.

    \b
    Examples:
      chronicle model check lean.onnx
      chronicle model check lean.onnx --features vector --json
    """
    from libchronicle.cli.models import run_check

    run_check(file, features, as_json=as_json)
