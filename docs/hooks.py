"""Changes of `make docs` to the pages: links to files of the repository outside docs/ become their names.

The site has no such files, but on a page read as plain Markdown the link works. A link to a missing file stops the
build.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#]+)(?:#[^)]*)?\)")


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Replace ``[text](../path)`` by ``text (path)``, or by ``path`` if that is the text."""
    root = Path(config["config_file_path"]).parent

    def named(link: re.Match[str]) -> str:
        text, path = link.groups()
        if not (root / path).exists():
            raise PluginError(f"{page.file.src_path}: links to {path}, which is not in the repository")
        return f"`{path}`" if text.strip("`") in (path, Path(path).name) else f"{text} (`{path}`)"

    return OUTSIDE.sub(named, markdown)
