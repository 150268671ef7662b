"""Shared parts of the HTML pages: escaping templates and their scripts, a content security policy, values as text."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import jinja2

from efficient360.core import formatting
from efficient360.core.text import shown
from efficient360.reports import theme
from efficient360.reports.names import title, words


def environment(package: str) -> jinja2.Environment:
    """Templates of ``package``'s ``templates`` folder, with those of the reports behind them: all output is escaped, an undefined name is an error."""
    loaders = [jinja2.PackageLoader(package), jinja2.PackageLoader("efficient360.reports")]
    templates = jinja2.Environment(
        loader=jinja2.ChoiceLoader(loaders), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    templates.filters |= {"title_of": title, "cell": cell, "sentence": sentence}
    templates.globals |= {"light": theme.variables(theme.LIGHT), "dark": theme.variables(theme.DARK)}
    templates.tests |= {"picture": is_picture, "figures": is_figures}
    return templates


def _shown(value: Any) -> Any:
    """Text of any origin without control characters and bidirectional marks; scripts and markup of our own as they are."""
    return shown(value) if type(value) is str else value


def script(package: str, name: str) -> str:
    """A script of ``package``'s ``templates`` folder."""
    return files(package).joinpath("templates", name).read_text(encoding="utf-8")


def policy(*scripts: str) -> str:
    """A content security policy that allows exactly these inline scripts and no requests."""
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def is_picture(uri: str) -> bool:
    """Whether a picture's URI is a raster image embedded as data: nothing else is shown."""
    return uri.startswith(("data:image/png;", "data:image/jpeg;", "data:image/webp;"))


def is_figures(values: Sequence[str | int | float]) -> bool:
    """Whether a table's column holds numbers, formatted or not: such columns are right-aligned."""
    texts = [cell(value) for value in values]
    numbers = [text.lstrip("+-±−≈<>≤≥")[:1].isdigit() for text in texts]
    return any(numbers) and all(number or text in ("–", "—", "") for number, text in zip(numbers, texts, strict=True))


def sentence(text: str) -> str:
    """``text`` with a capital first letter, unless it begins with an identifier, a number or a symbol."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() and text[:1].isascii() else text


def plain(value: Any) -> str:
    """A provenance value as text."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", formatting.MINUS)
    return str(value)


def cell(value: Any) -> str:
    """A table value as text: integers with thousands separators, floats to four digits."""
    return formatting.count(value) if isinstance(value, int) and not isinstance(value, bool) else plain(value)


def rows(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], str]]:
    """Nested provenance as flat rows: path in words, text. A list of plain values is one row."""
    if isinstance(value, Mapping):
        return [row for key, item in value.items() for row in rows(item, (*path, words(str(key))))]
    if isinstance(value, list | tuple):
        if any(isinstance(item, Mapping | list | tuple) for item in value):
            return [row for index, item in enumerate(value, 1) for row in rows(item, (*path, str(index)))]
        return [(path, ", ".join(plain(item) for item in value) or "–")]
    return [(path, plain(value))]
