"""The kinds of panels that our dashboards have, in one look."""

from collections.abc import Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.models import dashboard as models

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${source}")
"""Whichever Prometheus is chosen at the top."""

GREEN, YELLOW, RED = "green", "yellow", "red"
WIDTH = 24
"""Columns of Grafana's grid."""

Panel = stat.Panel | timeseries.Panel | table.Panel | bargauge.Panel


@dataclass(frozen=True)
class Query:
    """A query, and how its series are called in a legend."""

    expr: str
    legend: str = "__auto"


def new(uid: str, title: str, description: str) -> builders.Dashboard:
    """An empty dashboard on the chosen Prometheus and environment, over the last day."""
    return (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["bic"])
        .readonly()
        .timezone("browser")
        .time("now-24h", "now")
        .refresh("1m")
        .with_variable(builders.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(choice("environment", "label_values(up, environment)"))
    )


def choice(name: str, query: str) -> builders.QueryVariable:
    """A variable with the values of a label; it begins with the first one."""
    return (
        builders.QueryVariable(name)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )


def number(title: str, expr: str, unit: str = "short", *, bad_above: float | None = None) -> stat.Panel:
    """One large number; red from `bad_above` on."""
    panel = stat.Panel().title(title).unit(unit).datasource(SOURCE).height(4).span(4)
    panel = panel.thresholds(_steps() if bad_above is None else _steps((bad_above, RED)))
    return panel.with_target(_target(Query(expr), "A", instant=True))


def share(title: str, query: Query, *, warn: float = 0.75, bad: float = 0.9) -> bargauge.Panel:
    """Bars from 0 to 100 % (given as 0 to 1), yellow and red from some share on."""
    return (
        bargauge.Panel()
        .title(title)
        .unit("percentunit")
        .min(0)
        .max(1)
        .datasource(SOURCE)
        .height(9)
        .span(12)
        .thresholds(_steps((warn, YELLOW), (bad, RED)))
        .with_target(_target(query, "A", instant=True))
    )


def lines(title: str, *queries: Query, unit: str = "short", span: int = 12) -> timeseries.Panel:
    """Lines over time."""
    panel = timeseries.Panel().title(title).unit(unit).min(0).datasource(SOURCE).height(8).span(span)
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(_target(query, letter))
    return panel


def rows(title: str, expr: str, unit: str = "short", span: int = 12) -> table.Panel:
    """A table with a row for each series and a column for each label."""
    target = _target(Query(expr), "A", instant=True).format("table")  # type: ignore[arg-type]
    return table.Panel().title(title).unit(unit).datasource(SOURCE).height(8).span(span).with_target(target)


def page(made: builders.Dashboard, *sections: tuple[str, Sequence[Panel]]) -> builders.Dashboard:
    """A dashboard with sections, each a heading and panels in reading order, wrapped where a line is full."""
    y = 0
    number = 0
    for title, panels in sections:
        number += 1
        made = made.with_row(builders.Row(title).id(number).grid_pos(models.GridPos(x=0, y=y, w=WIDTH, h=1)))
        x, y, tallest = 0, y + 1, 0
        for panel in panels:
            size = panel.build().grid_pos or models.GridPos()
            if x + size.w > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            number += 1
            place = models.GridPos(x=x, y=y, w=size.w, h=size.h)
            made = made.with_panel(panel.id(number).grid_pos(place))
            x, tallest = x + size.w, max(tallest, size.h)
        y += tallest
    return made


def _target(query: Query, letter: str, *, instant: bool = False) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter)
    return target.instant() if instant else target.range()


def _steps(*steps: tuple[float, str]) -> builders.ThresholdsConfig:
    """Green, and another colour from each value on."""
    found = [models.Threshold(value=None, color=GREEN)]
    found += [models.Threshold(value=value, color=color) for value, color in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)
