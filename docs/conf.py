"""How Sphinx builds a site of these pages and of the docstrings: `sphinx-build -W docs build/site`."""

import inspect
import os
import re
from pathlib import Path

import kranking

project = "kranking"
release = kranking.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_inherit_docstrings = False  # not Keras's
napoleon_use_ivar = True  # an attribute that its class documents is not described twice

DOCS = Path(__file__).parent.resolve()
ROOT = DOCS.parent
# Pages whose text is a file outside docs/, and the pages listed below others in the navigation.
ELSEWHERE = {
    "index": ROOT / "README.md",
    "contributing": ROOT / "CONTRIBUTING.md",
    "changelog": ROOT / "CHANGELOG.md",
    "deployment": ROOT / "export" / "README.md",
    "triton": ROOT / "export" / "triton" / "README.md",
    "tensorflow-serving": ROOT / "export" / "tf_serving" / "README.md",
    "onnxruntime": ROOT / "export" / "onnxruntime" / "README.md",
}
CHILDREN = {
    "adr/README": "0*",
    "results": "results/*",
    "deployment": "onnxruntime\ntriton\ntensorflow-serving",
}
# Keras calls these; the docstring of the class describes what they do.
PLUMBING = {"build", "call", "compute_output_shape", "get_config", "from_config"}

MARKDOWN_LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
WEB_LINK = re.compile(r"\[([^\]]+)\]\((https?://[^)\s]+)\)")
CODE = re.compile(r"(\w?)`([^`]+)`(\w?)")
PARAGRAPH = re.compile(r"^(Input shape|Output shape|Raises|References?): ")


def read_page(app, docname: str, source: list[str]) -> None:
    """Replaces the source of a page by the file it stands for, with links that work in the site."""
    path = ELSEWHERE.get(docname, DOCS / f"{docname}.md")
    if docname in ELSEWHERE:
        toctree = re.search(r"^```\{toctree\}.*", source[0], re.MULTILINE | re.DOTALL)
        source[0] = path.read_text("utf-8") + "\n\n" + (toctree[0] if toctree else "")
    if docname in CHILDREN:
        options = ":hidden:\n:glob:\n:titlesonly:"
        source[0] += f"\n\n```{{toctree}}\n{options}\n\n{CHILDREN[docname]}\n```\n"
    folder = (DOCS / docname).parent
    source[0] = MARKDOWN_LINK.sub(lambda link: site_link(link, path, folder), source[0])


def site_link(link: re.Match, path: Path, folder: Path) -> str:
    """Returns a link of the file `path` as it is written in a page in `folder`."""
    text, target, anchor = link[1], (path.parent / link[2]).resolve(), link[3] or ""
    page = next((name for name, file in ELSEWHERE.items() if file == target), None)
    if page:
        target = DOCS / f"{page}.md"
    if target.is_relative_to(DOCS) or not target.exists():
        return f"[{text}]({os.path.relpath(target, folder)}{anchor})"
    file = f"`{target.relative_to(ROOT)}`"  # no page of the site: named, not linked
    return text if file == text else f"{text} ({file})"


def rewrite(app, what, name, obj, options, lines: list[str]) -> None:
    """Turns a docstring's code and links, written as in Markdown, into reStructuredText."""
    text, in_example, in_paragraph = [], False, False
    for line in lines:
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>> "))
        if PARAGRAPH.match(line):  # on one line with its text: not a section of Google's style
            text.append("")
        in_paragraph = bool(PARAGRAPH.match(line)) or (in_paragraph and line.startswith(" "))
        text.append(line.strip() if in_paragraph else line)
    pieces = re.split(r"((?:^ *(?:>>>|\.\.\.) .*\n?)+)", "\n".join(text), flags=re.MULTILINE)
    pieces[::2] = [rest(piece) for piece in pieces[::2]]
    lines[:] = "".join(pieces).split("\n")


def rest(text: str) -> str:
    """Returns prose as reStructuredText."""
    pieces = re.split(r"(`[^`]+`)", text)
    pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
    text = CODE.sub(literal, "".join(pieces))
    return WEB_LINK.sub(r"`\1 <\2>`__", text)


def literal(code: re.Match) -> str:
    """Returns inline code, set apart from a word that it touches."""
    before, after = (r"\ " if side else "" for side in (code[1], code[3]))
    return f"{code[1]}{before}``{code[2]}``{after}{code[3]}"


def skip(app, what, name, obj, skipped, options) -> bool | None:
    """Leaves out what every Keras layer has."""
    inherited = (getattr(obj, "__module__", None) or "").startswith("keras.")
    return True if inherited or name in PLUMBING else None


def signature(app, what, name, obj, options, arguments, returned) -> tuple[str, None] | None:
    """Returns the arguments of a class's `__init__`; those of Keras's `__new__` are `*args, **kwargs`."""
    owner = next((c for c in getattr(obj, "__mro__", ()) if "__init__" in vars(c)), object)
    if what != "class" or not owner.__module__.startswith("kranking."):
        return None
    _, *parameters = inspect.signature(obj.__init__).parameters.values()
    plain = [p.replace(annotation=p.empty) for p in parameters]
    return str(inspect.Signature(plain)), None


def setup(app) -> None:
    """Connects the functions above."""
    app.connect("source-read", read_page)
    app.connect("autodoc-process-docstring", rewrite, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-skip-member", skip)
