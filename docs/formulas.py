r"""MkDocs hook: formulas become MathML, which needs neither script nor network."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from latex2mathml.converter import convert
from mkdocs.exceptions import PluginError

FORMULA = re.compile(r'<(div|span) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
ENVIRONMENT = re.compile(r"\\begin\{(\w+)\}.*?\\end\{\1\}", re.DOTALL)
TWO_WORDS = re.compile(r"\\operatorname\{(\w+)\\,(\w+)\}")  # arg min


def on_page_content(html: str, **_: Any) -> str:
    """Replace what arithmatex has found."""
    return FORMULA.sub(lambda m: mathml(unescape(m[2]), display=m[1] == "div"), html)


def mathml(latex: str, display: bool = False) -> str:
    """A formula; one that ``&`` aligns is a table, as LaTeX's aligned is."""
    aligned = display and re.search(r"&|\\\\", ENVIRONMENT.sub("", latex))
    text = rf"\begin{{align*}}{latex}\end{{align*}}" if aligned else latex
    text = TWO_WORDS.sub(r"\\operatorname{\1}\,\\operatorname{\2}", text)
    text = text.replace(r"\top", r"{\mathsf{T}}")
    html: str = convert(text, display="block" if display else "inline")
    if unknown := re.search(r"\\[a-zA-Z]+", html):
        raise PluginError(f"latex2mathml does not know {unknown[0]}, in {latex.strip()}")
    html = html.replace("<mo>&#x02016;</mo>", '<mo stretchy="false">&#x02016;</mo>')  # ‖
    return f'<span class="formula">{html}</span>' if display else html
