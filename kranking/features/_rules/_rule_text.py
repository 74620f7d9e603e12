"""The text of a label rule: its parts that Python does not read alike, and errors that name a place."""

import ast
import re
from typing import Any

_MAX_LENGTH, _MAX_DEPTH = 10_000, 100  # a rule may come from a file
_QUOTED = re.compile(
    r"""(?P<text>'[^'\n]*'|"[^"\n]*")|(?P<name>`[^`\n]+`)|"""
    r"""(?P<number>(?<![\w.])(?:\d|\.\d)[\w.]*(?:(?<=[eE])[+-]\w*)?)"""
)
_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
GRAMMAR = (
    "A rule compares columns with numbers, with texts in quotes or with each other, by ==, !=, <, <=, >, "
    ">=, in (…), not in (…), is null or is not null, and joins comparisons by and, or, not. Columns may "
    "have factors, as in watch_time >= 0.8 * duration. Names that are no words stand in `backticks`."
)


class RuleText:
    """The text of a rule, read by Python's parser.

    Texts in quotes and names in backticks are hidden from Python: a text is what stands between its
    quotes, without escapes.

    Args:
        text: The text.

    Attributes:
        node: The expression.

    Raises:
        ValueError: If the text is no expression.
    """

    def __init__(self, text: str):
        if not isinstance(text, str) or not text.strip() or len(text) > _MAX_LENGTH:
            raise ValueError(
                f'`when` must be a rule such as "rating >= 4", of at most {_MAX_LENGTH:,} characters. '
                f"Received: when={text!r:.200}"
            )
        self._text = text
        self._quoted: dict[tuple[int, int], tuple[str, str]] = {}
        self._masked = self._mask()
        self._first = len(text) - len(self._masked.lstrip())
        try:
            self.node = ast.parse(self._masked.strip(), mode="eval").body
        except SyntaxError as error:
            place = (error.offset or 0) - 1
            place = len(text.rstrip()) if place < 0 else place + self._first
            raise self._error("which is no rule", place, GRAMMAR) from None
        except (RecursionError, MemoryError):
            raise self._too_deep() from None
        if _depth(self.node) > _MAX_DEPTH:
            raise self._too_deep()

    def quoted(self, node: ast.AST) -> tuple[str, str] | None:
        """Returns `"text"` or `"name"`, and what stands in quotes or backticks; `None` for other nodes."""
        return self._quoted.get(self._span(node))

    def source(self, node: ast.AST) -> str:
        """Returns the text of a node."""
        return self._text[slice(*self._span(node))]

    def refused(self, node: ast.AST, what: str, hint: str = "") -> ValueError:
        """Returns the error about a node."""
        return self._error(what, self._span(node)[0], hint)

    def _too_deep(self) -> ValueError:
        return self._error(f"which is nested more than {_MAX_DEPTH} deep", self._first)

    def _mask(self) -> str:
        """Returns the text with words in place of what is quoted, and as long."""
        masked = self._text
        for found in _QUOTED.finditer(self._text):
            kind, (start, stop) = found.lastgroup or "", found.span()
            if kind != "number":
                self._quoted[start, stop] = (kind, found.group()[1:-1])
                masked = masked[:start] + "_" * (stop - start) + masked[stop:]
            elif not _NUMBER.fullmatch(found.group()):
                raise self._error("with a number in another form than 4, 0.8 or 1e6", start)
        for place, sign in enumerate(masked):
            if sign in "#\\;" or not (sign.isprintable() or sign.isspace()):
                raise self._error(f"where {sign!r} has no meaning", place)
        return "".join(" " if sign.isspace() else sign for sign in masked)

    def _span(self, node: Any) -> tuple[int, int]:
        # Python counts bytes in UTF-8.
        line = self._masked.strip().encode()
        start, stop = (
            self._first + len(line[:offset].decode())
            for offset in (node.col_offset, node.end_col_offset)
        )
        return start, stop

    def _error(self, what: str, place: int, hint: str = "") -> ValueError:
        rest = self._text[place : place + 20].rstrip()
        return ValueError(
            f'`when` must be a rule such as "rating >= 4". Received: when={self._text!r:.200}, {what}, at '
            f"character {place + 1}{f', {rest!r}' if rest else ''}.{f' {hint}' if hint else ''}"
        )


def _depth(node: ast.AST) -> int:
    """Returns the number of nodes within each other, without recursion."""
    depth, level = 0, [node]
    while level:
        depth, level = depth + 1, [part for one in level for part in ast.iter_child_nodes(one)]
    return depth
