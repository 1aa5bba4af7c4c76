r"""Griffe extension: what docstrings say in reStructuredText, said in Markdown.

Docstrings are written for ``help`` and for NumPy's style: roles (``:class:`Adam```, ``:math:``),
``.. math::`` and the sections that Griffe does not know. On pages they become links and formulas.
"""

from __future__ import annotations

import re
from textwrap import dedent
from typing import Any

import griffe

MATH = re.compile(r"^\.\. math::(.*\n(?:\n|[ ]+.*\n?)*)", re.MULTILINE)
INLINE_MATH = re.compile(r":math:`([^`]+)`")
ROLE = re.compile(r":(class|func|meth|attr|mod):`~?([^`]+)`")
TERM = re.compile(r"^(``\w+``)\n    (?=\S)", re.MULTILINE)
SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
SECTION = re.compile(r"^(?=[A-Z][\w ]*\n-{3,}\n)", re.MULTILINE)
TITLE = re.compile(r"(References|Notes)\n-+\n")
# Functions whose modules have their names, too: their entries are under the longer path.
NAMESAKES = ("backends", "minimize", "multistart", "sweep")
ELSEWHERE = ("numpy.", "scipy.", "torch.")  # whose addresses a build offline does not know


class Markdown(griffe.Extension):
    """Rewrites every docstring as it is loaded."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: D102
        if obj.docstring is not None:
            owner = obj if obj.is_class or obj.parent is None else obj.parent
            obj.docstring.value = markdown(obj.docstring.value, owner.path)


def markdown(text: str, owner: str = "") -> str:
    r"""What a docstring says, in Markdown; methods without a class are the owner's.

    >>> markdown("The root :math:`x_0` of :func:`f`, by :meth:`find`.", "Newton")
    'The root \\(x_0\\) of [`f`][f], by [`find`][Newton.find].'
    """

    def link(role: re.Match[str]) -> str:
        kind, name = role.groups()
        if kind == "attr" or name.startswith(("_", *ELSEWHERE)) or "._" in name:
            return f"`{name}`"
        target = name
        if (last := name.removeprefix("fallline.")) in NAMESAKES:
            target = f"fallline.{last}.{last}"
        elif kind == "meth" and "." not in name:
            target = f"{owner}.{name}"
        return f"[`{name}`][{target}]"

    text = MATH.sub(
        lambda m: f"\\[\n{dedent(m[1]).strip()}\n\\]\n\n", TERM.sub(r"\n\1\n:   ", text)
    )
    if "Examples\n---" not in text:
        text = SESSION.sub(r"```pycon\n\g<0>\n```", text)
    text = INLINE_MATH.sub(lambda m: rf"\({' '.join(m[1].split())}\)", text)
    return _rearranged(ROLE.sub(link, text))


def _rearranged(text: str) -> str:
    """Sections that Griffe does not know are text, after the examples or before all sections.

    Elsewhere they would be read as further lines of the section before them.
    """
    head, *sections = SECTION.split(text)
    unknown = [TITLE.sub(r"**\1**\n\n", s, count=1) for s in sections if TITLE.match(s)]
    known = [s for s in sections if not TITLE.match(s)]
    known.sort(key=lambda section: section.startswith("Examples"))  # last, as it may end in text
    last = known and known[-1].startswith("Examples")
    return "\n\n".join([head, *known, *unknown] if last else [head, *unknown, *known])
