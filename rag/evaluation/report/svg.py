"""Elements of inline SVG. Text and attributes are escaped here, so no plot can carry markup from a document."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape


def tag(name: str, attributes: Mapping[str, object] | None = None, *children: str) -> Markup:
    """One element; attributes that are None are left out, and children that are not Markup are escaped."""
    written = "".join(
        f' {key}="{escape(number(value) if isinstance(value, float) else value)}"'
        for key, value in (attributes or {}).items()
        if value is not None
    )
    inner = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>")


def number(value: float) -> str:
    """A coordinate with at most two decimals, the same on every machine; never "-0"."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def percent(fraction: float) -> str:
    """A coordinate as a share of the width."""
    return f"{number(100 * fraction)}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Maps values in `[low, high]` to places in `[start, end]`; values outside stay at the edge."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def ticks(low: float, high: float, n: int = 5) -> tuple[float, ...]:
    """About `n` round values that lie in `[low, high]`, at steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / max(n, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return tuple(round(index * step, 10) for index in range(first, last + 1))


def figure(width: int, height: int, title: str, description: str, key: str, *children: str) -> Markup:
    """A plot that scales with its box; `key` keeps the ids of its title and description apart from other plots'."""
    return tag(
        "svg",
        {
            "class": "plot",
            "viewBox": f"0 0 {width} {height}",
            "role": "img",
            "aria-labelledby": f"{key}-title {key}-desc",
        },
        tag("title", {"id": f"{key}-title"}, title),
        tag("desc", {"id": f"{key}-desc"}, description),
        *children,
    )


def strip(height: int, title: str, *children: str) -> Markup:
    """A strip as wide as its box, drawn in shares of the width; what it says stands as text beside it too."""
    return tag(
        "svg",
        {"class": "strip", "width": "100%", "height": height, "role": "img", "aria-label": title},
        tag("title", {}, title),
        *children,
    )
