"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


class Whole(click.IntRange):
    """A whole number in [min, max]; what is none is answered with that range."""

    name = "whole number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, or a sentence that says what is right."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            return self.fail(f"{value!r} is no whole number from {self.min:,} to {self.max:,}", param, ctx)


def data_dir(function: F) -> F:
    """`--data-dir`."""
    return click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where everything is kept (default: CITEBOUND_DATA_DIR, or the platform's user data folder).",
    )(function)


def collection(function: F) -> F:
    """`--collection`."""
    return click.option("--collection", default="default", show_default=True, help="The set of documents to use.")(
        function
    )


def k(function: F) -> F:
    """`-k`; where it is left out, the service's setting decides."""
    return click.option("-k", "k", type=Whole(1, 100), help="How many passages to find (default: CITEBOUND_K, or 8).")(
        function
    )


def as_json(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)
