"""MkDocs hook: the optimizers' page lists what the registry holds."""

from __future__ import annotations

from typing import Any

import fallline as fl

ENTRY = """::: {module}.{name}
    options:
      heading: fallline.{name}
      toc_label: {name}
      members: [lookahead, train, eval]
      inherited_members: true
"""


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put an entry per optimizer in the marker's place."""
    entries = [ENTRY.format(module=c.__module__, name=n) for n, c in fl.optimizers().items()]
    return markdown.replace("<!-- every optimizer -->", "\n".join(entries))
