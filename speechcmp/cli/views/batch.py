"""How a batch is shown: progress while it runs, a summary at its end."""

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from speechcmp.audio.url import without_secrets
from speechcmp.cli import output
from speechcmp.cli.output import console, new_table, number, shown

if TYPE_CHECKING:
    from speechcmp.batch.summary import Summary

SCHEMA = "speechcmp.summary/1"
_SHOWN_ROWS = 20


def quiet_dask() -> None:
    """Keep Dask's own log off stderr: what matters of it is raised, or told."""
    with suppress(ImportError):  # which is complained of where it is used
        import distributed  # noqa: F401 - sets its levels when it is imported
    for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def print_summary(summary: "Summary", *, as_json: bool, stderr: bool = False) -> None:
    """Print a summary as the ``speechcmp.summary/1`` object, or as tables."""
    values = summary.values()
    if as_json and not stderr:
        output.print_json({"schema": SCHEMA, **values})
        return
    out = console(stderr=stderr)
    scored, failed, n_rows = (f"{values[name]:,}" for name in ("scored", "failed", "rows"))
    out.print(f"[bold]{scored}[/] scored, [bold]{failed}[/] failed of {n_rows} rows")
    for name in ("distance", "score"):
        if values[name]:
            out.print(_distribution(name, values[name]), soft_wrap=True)
    if any(values.get("copies", {}).values()):
        counts = values["copies"]
        out.print(f"[yellow]copies[/] {counts['reference']:,} of their reference, {counts['take']:,} of another take")
    for failure in values["failures"]:
        out.print(f"[yellow]failed[/] {failure['rows']:,}: {shown(failure['reason'])}", soft_wrap=True)
    if "by" in values:
        out.print(_group_table(values["by"]))
    if values["worst_chunks"]:
        out.print(_worst_table(values["worst_chunks"]))


def _distribution(name: str, values: dict[str, Any]) -> str:
    quantiles = values["quantiles"]
    return (
        f"{name}: mean [bold]{number(values['mean'], 3)}[/] ± {number(values['spread'], 3)}, "
        f"median {quantiles['0.5']:g}, from {quantiles['0.05']:g} to {quantiles['0.95']:g} (5 and 95 %)"
    )


def _group_table(by: dict[str, Any]) -> Any:  # noqa: ANN401 - a rich table
    groups = by["groups"]
    with_score = any(group["score"] for group in groups)
    columns = [(shown(by["column"]), "left"), ("rows", "right"), ("distance", "right"), ("spread", "right")]
    table = new_table(*columns, *([("score", "right"), ("spread", "right")] if with_score else []))
    for group in groups[:_SHOWN_ROWS]:
        cells = [shown(without_secrets(str(group["value"]))), f"{group['rows']:,}"]
        for name in ("distance", "score") if with_score else ("distance",):
            found = group[name] or {"mean": None, "spread": None}
            cells += [number(found["mean"], 3), number(found["spread"], 3)]
        table.add_row(*cells)
    if len(groups) > _SHOWN_ROWS:
        table.add_row(f"… {len(groups) - _SHOWN_ROWS} more")
    return table


def _worst_table(chunks: list[dict[str, Any]]) -> Any:  # noqa: ANN401 - a rich table
    columns = [("worst chunks", "left"), ("chunk", "right"), ("takes", "right"), ("missing", "right")]
    table = new_table(*columns, ("distance", "right"))
    for chunk in chunks:
        counts = (str(chunk["index"]), f"{chunk['takes']:,}", f"{chunk['missing']:,}")
        table.add_row(shown(without_secrets(chunk["reference"])), *counts, number(chunk["distance"], 3))
    return table
