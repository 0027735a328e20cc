"""Panels of one look: what the rows of the dashboard are put together from."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common as shape
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import heatmap as heat
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="chronicle-prometheus")
HEIGHT = 7
GREEN, ORANGE, RED = "green", "orange", "red"

Query = tuple[str, str]
"""Expression and legend."""


def query(expression: str, legend: str, ref: int = 0) -> prometheus.Dataquery:
    """One line, or one per series; `{{daemon}}` in the legend is a label."""
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + ref)).range()


def lines(title: str, unit: str, queries: Sequence[Query], about: str, width: int = 8) -> timeseries.Panel:
    """Lines over time. `unit` is Grafana's name of it; `about` says how to read it."""
    panel = (
        timeseries.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .unit(unit)
        .min(0)
        .span(width)
        .height(HEIGHT)
        .line_width(1)
        .fill_opacity(8)
        .show_points(shape.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(shape.LegendDisplayMode.LIST)
            .placement(shape.LegendPlacement.BOTTOM)
        )
        .tooltip(
            common.VizTooltipOptions().mode(shape.TooltipDisplayMode.MULTI).sort(shape.SortOrder.DESCENDING)
        )
    )
    for i, (expression, legend) in enumerate(queries):
        panel = panel.with_target(query(expression, legend, i))
    return panel


def number(
    title: str,
    expression: str,
    legend: str,
    about: str,
    *,
    bad_from: float | None = None,
    unit: str = "none",
    width: int = 4,
) -> stat.Panel:
    """The present value, red from `bad_from` on."""
    steps = [model.Threshold(value=None, color=GREEN)]
    if bad_from is not None:
        steps.append(model.Threshold(value=bad_from, color=RED))
    return _stat(title, expression, legend, about, steps, unit, width)


def up_or_down(title: str, expression: str, legend: str, about: str, width: int = 8) -> stat.Panel:
    """1 is green and says up, 0 is red and says DOWN."""
    steps = [model.Threshold(value=None, color=RED), model.Threshold(value=1, color=GREEN)]
    words = model.ValueMap(
        options={
            "0": model.ValueMappingResult(text="DOWN", color=RED, index=0),
            "1": model.ValueMappingResult(text="up", color=GREEN, index=1),
        }
    )
    return _stat(title, expression, legend, about, steps, "none", width).mappings([words])


def _stat(
    title: str, expression: str, legend: str, about: str, steps: list[model.Threshold], unit: str, width: int
) -> stat.Panel:
    thresholds = dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)
    return (
        stat.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .unit(unit)
        .span(width)
        .height(HEIGHT)
        .color_mode(shape.BigValueColorMode.BACKGROUND)
        .graph_mode(shape.BigValueGraphMode.NONE)
        .text_mode(shape.BigValueTextMode.VALUE_AND_NAME)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .thresholds(thresholds)
        .with_target(query(expression, legend).instant())
    )


def rows(title: str, expression: str, about: str, width: int = 8) -> table.Panel:
    """One line per series, labels as columns."""
    target = query(expression, "").instant().format(PromQueryFormat.TABLE)
    return (
        table.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .span(width)
        .height(HEIGHT)
        .with_target(target)
    )


def buckets(title: str, expression: str, unit: str, about: str, width: int = 12) -> heatmap.Panel:
    """How often each bucket of a histogram was hit, over time. `expression` keeps the label `le`."""
    return (
        heatmap.Panel()
        .title(title)
        .description(about)
        .datasource(DATASOURCE)
        .span(width)
        .height(HEIGHT + 1)
        .calculate(False)
        .cell_gap(1)
        .color(
            heatmap.HeatmapColorOptions()
            .mode(heat.HeatmapColorMode.SCHEME)
            .scheme("Spectral")
            .steps(64)
            .reverse(True)
            .exponent(0.5)
        )
        .y_axis(heatmap.YAxisConfig().unit(unit))
        .with_target(query(expression, "{{le}}").format(PromQueryFormat.HEATMAP))
    )
