"""The bar on the terminal; plain lines where there is none."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..imaging.progress import Progress, silent


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Progress]:
    """Listen to `progress` calls on standard error.

    With a title all messages belong to one task of that name; with an empty one the words
    before a message's first colon name its stage. On a terminal each stage has a bar with
    its elapsed time; elsewhere a line is printed when a stage begins and when it ends.
    """
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        yield from _bars(title)
    else:
        yield _Lines(title)


def _bars(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=30),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def report(fraction: float | None, message: str) -> None:
            stage, detail = _split(message, title)
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=None, detail="")
            task = next(task for task in bars.tasks if task.id == tasks[stage])
            if fraction is not None:
                # A stage that starts to count never goes backwards.
                done = max(fraction, task.completed if task.total else 0.0)
                bars.update(task.id, total=1.0, completed=done)
                detail = "" if fraction >= 1 else detail
            bars.update(task.id, detail=detail)

        yield report


class _Lines:
    """One line when a stage begins, one when it ends, and a sign of life every 15 s."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.started: dict[str, float] = {}
        self.finished: set[str] = set()
        self.last = 0.0

    def __call__(self, fraction: float | None, message: str) -> None:
        stage, detail = _split(message, self.title)
        now = time.monotonic()
        if stage not in self.started:
            self.started[stage] = now
            self._print(f"{stage} …", now)
        elif fraction is not None and fraction >= 1 and stage not in self.finished:
            self.finished.add(stage)
            self._print(f"{stage} done in {now - self.started[stage]:.1f} s", now)
        elif now - self.last > 15 and stage not in self.finished:
            percent = f"{100 * fraction:.0f} %" if fraction is not None else ""
            self._print(f"{stage}: {', '.join(filter(None, (percent, detail)))}", now)

    def _print(self, text: str, now: float) -> None:
        self.last = now
        print(text, file=sys.stderr, flush=True)


def _split(message: str, title: str) -> tuple[str, str]:
    """Stage and detail: one stage when there is a title, else what stands before the colon."""
    if title:
        return title, message
    stage, _, detail = message.partition(": ")
    return stage, detail
