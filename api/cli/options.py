"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


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
    return click.option(
        "-k", "k", type=click.IntRange(1, 100), help="How many passages to find (default: CITEBOUND_K, or 8)."
    )(function)


def as_json(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(function)
