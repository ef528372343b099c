"""Flags of `citebound train …`: one for each field of a configuration, or a TOML file with the same names."""

import dataclasses
import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C")

_MAY_BE_ZERO = frozenset(
    ("seed", "warmup_steps", "decay_steps", "rank", "final_lr_share", "sft_weight", "weight_decay", "min_frequency")
)
_AT_MOST = {"final_lr_share": 1.0, "betas": 1.0, "seed": 2**32 - 1}
_HELP = {
    "seed": "Decides everything that is drawn.",
    "vocabulary": "Tokens, the 256 bytes and 3 special ones included.",
    "min_frequency": "How often a pair must occur to become a token.",
    "max_context": "Tokens that a model with this tokenizer reads at most.",
    "hidden_size": "Width of the model.",
    "n_layers": "Layers.",
    "n_heads": "Attention heads; they divide the width.",
    "n_kv_heads": "Heads that keys and values have; they divide the heads.",
    "sequence_tokens": "Tokens of one sequence.",
    "max_positions": "Tokens that the model may be given later.",
    "sequences_per_step": "Sequences whose gradients make one step.",
    "sequences_per_pass": "Of them, those that are computed at once; more take more memory.",
    "n_epochs": "How often all data are seen.",
    "max_steps": "Stop after so many steps.",
    "rank": "Rank r of LoRA; 0 trains every weight.",
    "alpha": "The adapter counts alpha / rank.",
    "beta": "Weight of the log-ratios; smaller lets the model drift further.",
    "sft_weight": "Weight of the cross-entropy of the preferred answer.",
    "peak_lr": "Highest learning rate.",
    "final_lr_share": "Learning rate of the last step, as a share of the highest.",
    "warmup_steps": "Steps until the highest learning rate.",
    "decay_steps": "Steps at the end in which it falls in a line; 0: half a cosine over all steps.",
    "max_tokens": "Tokens of one packed sequence; longer examples are left out.",
    "weight_decay": "Share of each matrix taken off a step, times the learning rate.",
    "betas": "Decay of AdamW's two moments.",
    "max_grad_norm": "Gradients are shortened to this norm.",
    "activation_checkpointing": "Compute activations twice instead of keeping them.",
    "checkpoint_seconds": "Time between checkpoints.",
    "evaluate_every": "Steps between measurements on held-out data.",
}


def config_flags(config_class: type[Any]) -> Callable[[F], F]:
    """A flag for every field of a configuration, with its default; the command gets them by the fields' names."""

    def decorate(function: F) -> F:
        for field in reversed(dataclasses.fields(config_class)):
            flag = f"--{field.name.replace('_', '-')}"
            about = {"default": field.default, "show_default": field.default is not None, "help": _HELP[field.name]}
            if isinstance(field.default, bool):
                function = click.option(flag, field.name, is_flag=True, **about)(function)
            elif isinstance(field.default, tuple):
                kinds = (_range(field.name, whole=False),) * len(field.default)
                function = click.option(flag, field.name, type=kinds, **about)(function)
            else:
                kind = _range(field.name, whole=not isinstance(field.default, float))
                function = click.option(flag, field.name, type=kind, **about)(function)
        return function

    return decorate


class _FiniteRange(click.FloatRange):
    """A range that holds no "nan", which compares with nothing, and no infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


def _range(name: str, *, whole: bool) -> "click.ParamType[Any]":
    """What a value may be: above zero, or zero where that means something."""
    most = _AT_MOST.get(name)
    if whole:
        return click.IntRange(min=0 if name in _MAY_BE_ZERO else 1, max=None if most is None else int(most))
    return _FiniteRange(
        min=0, min_open=name not in _MAY_BE_ZERO and name != "betas", max=most, max_open=name == "betas"
    )


def config_of(config_class: type[C], values: Mapping[str, Any]) -> C:
    """The configuration that the flags in `values` make; other values are passed over."""
    names = [field.name for field in dataclasses.fields(config_class)]  # type: ignore[arg-type]
    return config_class(**{name: values[name] for name in names})


def config_file(function: F) -> F:
    """`--config FILE.toml`: values for flags that are not given."""
    return click.option(
        "--config",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="A TOML file with the names of flags; a flag on the command line wins.",
    )(function)


def out(function: F) -> F:
    """`--out`."""
    return click.option(
        "--out",
        type=click.Path(path_type=Path, file_okay=False),
        required=True,
        help="Folder for checkpoints, metrics and the result; the same command goes on from what is there.",
    )(function)


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        read = {name.replace("-", "_"): value for name, value in tomllib.loads(path.read_text("utf-8")).items()}
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{path} is no TOML file: {error}") from error
    known = {parameter.name for parameter in context.command.params if isinstance(parameter, click.Option)}
    unknown = sorted(read.keys() - (known - {"config"}))
    if unknown:
        raise click.UsageError(f"{path} sets {unknown[0]}, which is no flag of this command")
    context.default_map = {**(context.default_map or {}), **read}
