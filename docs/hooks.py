"""MkDocs hooks: pages list what the registries hold, of optimizers and of figures."""

from __future__ import annotations

import io
from typing import Any

from mkdocs.structure.files import File, Files

import fallline as fl
from fallline import _gallery

ENTRY = """::: {module}.{name}
    options:
      heading: fallline.{name}
      toc_label: {name}
      members: [lookahead, train, eval]
      inherited_members: true
"""

FIGURE = """## {title}

![{title}](gallery/{name}.png)

{text}

??? example "The code of `{name}`"

    ```python
{code}
    ```
"""


def on_files(files: Files, *, config: Any) -> Files:
    """Add every figure, drawn."""
    for name in _gallery.names():
        file = io.BytesIO()
        _gallery.save(_gallery.entry(name).figure(), file)
        files.append(File.generated(config, f"gallery/{name}.png", content=file.getvalue()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put an entry per optimizer, or figure, in the marker's place."""
    entries = [ENTRY.format(module=c.__module__, name=n) for n, c in fl.optimizers().items()]
    markdown = markdown.replace("<!-- every optimizer -->", "\n".join(entries))
    if (marker := "<!-- every figure -->") in markdown:
        markdown = markdown.replace(marker, "\n".join(map(_figure, _gallery.names())))
    return markdown


def _figure(name: str) -> str:
    entry = _gallery.entry(name)
    code = "\n".join(f"    {line}".rstrip() for line in entry.code.splitlines())
    return FIGURE.format(name=name, title=entry.title, text=entry.text, code=code)
