"""``unitcircle leaderboard``: a new initializer among those whose runs are committed, by the same protocol."""

from __future__ import annotations

from tyro.conf import Positional


def leaderboard(initializer: Positional[str], /, *, task: str = "copying 20, linear") -> int:
    """Train an initializer by the protocol of the committed contests, and place it among them.

    Every transition has the best of its learning rates, chosen with another seed, and the same eight seeds: data,
    inputs and readout are those of the committed runs, so that the comparison is paired. About half a minute.

    Args:
        initializer: Of the transition, such as orthogonal(gain=1.05).
        task: Name of a contest: "copying 20, linear", "copying 20, tanh", or "copying 20", "copying 50" and
            "adding 100" of the linear transitions.

    Returns
    -------
        Exit status.
    """
    from rich.table import Table

    from unitcircle.cli import console
    from unitcircle.errors import ArgumentError, UnknownNameError
    from unitcircle.initializers import parse
    from unitcircle_reproduction._board import places
    from unitcircle_reproduction._judgement import number, with_interval
    from unitcircle_reproduction._kept_records import committed, protocol
    from unitcircle_reproduction._parquet import SHIPPED
    from unitcircle_reproduction._transition import CELLS, SEEDS, TASKS, contest

    tasks = {each.name: each for each in (*CELLS.values(), *TASKS)}
    if task not in tasks:
        raise UnknownNameError("contest", task, tasks)
    law, chosen = str(parse(initializer)), tasks[task]
    entries = [entry for entry in committed() if entry.protocol == protocol(chosen)]
    if not entries:
        raise ArgumentError("task", "must be a contest with committed records", f"{task} ({SHIPPED.name} has none)")
    first_seed = min(entry.seed for entry in entries)
    screen = console()
    screen.print(f"{protocol(chosen)}, {SEEDS} seeds: {law}", soft_wrap=True)
    found = contest(chosen, (law,), first_seed)
    old: dict[str, list[float]] = {}
    for entry in sorted(entries, key=lambda entry: entry.seed):
        old.setdefault(entry.label, []).append(entry.loss)
    new = f"{law} (new)"
    edges = {entry.label: entry.at_edge for entry in entries} | {new: bool(found["edge"][0])}
    board = places(new, found["scores"][0].tolist(), old, at_edge=edges, baseline=chosen.baseline)
    table = Table("place", "transition", "loss, median [95 %]", "against the new one", box=None)
    for k, place in enumerate(board, 1):
        table.add_row(str(k), place.label, with_interval(place.median, place.interval), place.standing)
    screen.print(table)
    screen.print(
        f"Baseline {number(chosen.baseline)}. Paired t-test, 5 % over all lines; no practical difference: "
        "two one-sided tests within a tenth of the baseline.",
        soft_wrap=True,
    )
    if edged := [place.label for place in board if place.at_edge]:
        screen.print(f"Best rate at the edge of those tried: {', '.join(edged)}.", soft_wrap=True)
    return 0
