"""Where a small fault can be planted in Python text, and the text with it."""

import ast
import difflib
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)
OPERATORS = {ast.Add: "+-", ast.Sub: "-+", ast.Mult: "*/", ast.Div: "/*"}
COMPARISONS = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"),
}  # fmt: skip
PAIRS = (
    "min max",
    "minimum maximum",
    "any all",
    "sum mean",
    "logical_and logical_or",
    "floor ceil",
)
OPPOSITES = {a: b for pair in PAIRS for a, b in (pair.split(), pair.split()[::-1])}
# Second positional arguments that are an axis.
OVER_AXIS = {
    "sum",
    "mean",
    "max",
    "min",
    "any",
    "all",
    "stack",
    "concatenate",
    "expand_dims",
    "softmax",
}
ORDERED = {"matmul", "subtract", "divide", "power", "greater", "less", "dot", "where"}
SYMMETRIC = {
    "isinstance",
    "getattr",
    "hasattr",
    "add",
    "multiply",
    "minimum",
    "maximum",
    "equal",
    "zip",
}
MASK = re.compile(r"mask|valid|present|known|weight", re.IGNORECASE)
PATH = re.compile(
    r"path|folder|directory|\broot|\bout\b|file|bundle|temporary|target", re.IGNORECASE
)
SPEECH = re.compile(r"warn|log(ger|ging)?\.|print|\.(info|debug|warning|error)$")
PRESENTATION = {"indent", "stacklevel", "file", "title", "help", "description"}  # keyword arguments


@dataclass(frozen=True)
class Site:
    """One fault: `text[start:end]` of a module becomes `replacement` (bytes).

    The identity holds no path, no line and no number that code elsewhere shifts: qualified name, kind,
    and a digest of the statement and of what it becomes. So it is the same in a tree whose files moved.
    """

    room: str
    module: str
    qualname: str
    kind: str
    line: int
    block: str
    start: int
    end: int
    replacement: str
    statement: str = field(repr=False)
    occurrence: int = 0

    @property
    def id(self) -> str:
        """Identity in any tree that holds the same statement in the same function."""
        text = f"{self.statement}\0{self.replacement}\0{self.occurrence}"
        return f"{self.qualname}:{self.kind}:{hashlib.sha256(text.encode()).hexdigest()[:10]}"

    def planted(self, text: str) -> str:
        """Returns the module's text with the fault."""
        data = text.encode()
        return (data[: self.start] + self.replacement.encode() + data[self.end :]).decode()

    def diff(self, text: str) -> str:
        """Returns the fault as a unified diff."""
        before, after = (t.splitlines() for t in (text, self.planted(text)))
        return "\n".join(
            difflib.unified_diff(before, after, self.module, self.module, "", "", 2, "")
        )


def sites(texts: Iterable[tuple[str, str, str]]) -> list[Site]:
    """Returns every fault that can be planted in (room, module, text), each with its own identity."""
    found, seen = [], Counter()
    for room, module, text in texts:
        for site in _Walker(text, module, room).walk():
            found.append(replace(site, occurrence=seen[site.id]))
            seen[site.id] += 1
    return found


def is_fault(site: Site, text: str) -> bool:
    """Whether the text with the fault is Python, and other Python than before."""
    try:
        return ast.dump(ast.parse(site.planted(text))) != ast.dump(ast.parse(text))
    except SyntaxError:
        return False


def block_of(module: str, body: list[ast.stmt]) -> str:
    """Names a block of statements, for the counting of what a test runs."""
    return f"{module}:{body[0].lineno}"


def bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yields the blocks that a node runs, other than the ones that run once, on import."""
    for name in ("body", "orelse", "finalbody"):
        body = getattr(node, name, None)
        if isinstance(body, list) and body and not isinstance(node, (ast.Module, ast.ClassDef)):
            yield body


def instrumented(text: str, module: str, call: str) -> str:
    """Returns a module's text in which each block first calls `call` with its name."""
    tree = ast.parse(text)
    for node in list(ast.walk(tree)):
        for body in list(bodies(node)):
            place = 1 if _is_text(body[0]) else 0
            marker = ast.parse(f"{call}({block_of(module, body)!r})").body[0]
            if len(body) > place:
                body.insert(place, marker)
    return ast.unparse(ast.fix_missing_locations(tree))


def _is_text(statement):
    constant = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return constant and isinstance(statement.value.value, str)


class _Walker:
    """Walks the code that runs: no docstrings, annotations, messages, lists of names or logging."""

    def __init__(self, text, module, room):
        self.text, self.module, self.room = text, module, room
        self.data = text.encode()
        self.starts = [0]
        for line in self.data.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))

    def walk(self):
        return list(self._statements(ast.parse(self.text).body, (), f"{self.module}:"))

    def _statements(self, body, scope, block):
        for statement in body:
            if not _is_silent(statement):
                yield from self._statement(statement, scope, block)

    def _statement(self, statement, scope, block):
        if isinstance(statement, SCOPES):
            inside = (*scope, statement.name)
            function = isinstance(statement, FUNCTIONS)
            inner = block_of(self.module, statement.body) if function else block
            if function:
                defaults = [*statement.args.defaults, *filter(None, statement.args.kw_defaults)]
                for default in defaults:
                    yield from self._expression(default, default, inside, inner)
            yield from self._statements(statement.body, inside, inner)
            return
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                continue
            if isinstance(child, ast.expr | ast.withitem | ast.keyword):
                if child is not getattr(statement, "annotation", None):
                    yield from self._expression(child, statement, scope, block)
            elif not isinstance(child, ast.operator | ast.expr_context):  # a handler, a case
                yield from self._statements(child.body, scope, block_of(self.module, child.body))
        for replaced in faults_of_statement(statement, self._source):
            yield self._site(replaced, statement, scope, block)
        for inner in bodies(statement):
            yield from self._statements(inner, scope, block_of(self.module, inner))

    def _expression(self, expression, statement, scope, block):
        for node in _spoken(expression):
            for replaced in faults(node, self._source):
                yield self._site(replaced, statement, scope, block)

    def _site(self, replaced, statement, scope, block):
        kind, first, last, replacement = replaced
        header = ast.unparse(statement).split("\n")[0]  # of a loop or a branch
        return Site(
            self.room,
            self.module,
            ".".join(scope) or "<module>",
            kind,
            first[0],
            block,
            self.starts[first[0] - 1] + first[1],
            self.starts[last[0] - 1] + last[1],
            replacement,
            header,
        )

    def _source(self, first, last):
        begin, end = (self.starts[line - 1] + column for line, column in (first, last))
        return self.data[begin:end].decode()


def _is_silent(statement):
    """Whether a statement is documentation, a message, or not for running."""
    if isinstance(statement, ast.Raise | ast.Assert | ast.Import | ast.ImportFrom):
        return True
    if _is_text(statement):
        return True
    if isinstance(statement, ast.If):
        return "__name__" in ast.unparse(statement.test) or "TYPE_CHECKING" in ast.unparse(
            statement.test
        )
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return bool(SPEECH.search(ast.unparse(statement.value.func)))
    if isinstance(statement, ast.Assign):
        return any(isinstance(t, ast.Name) and t.id == "__all__" for t in statement.targets)
    return isinstance(statement, FUNCTIONS) and statement.name == "__repr__"


def _spoken(expression):
    """Yields the nodes of an expression, without formatted text and what only a reader sees."""
    pending = [expression]
    while pending:
        node = pending.pop(0)
        if isinstance(node, ast.JoinedStr) or (
            isinstance(node, ast.keyword) and node.arg in PRESENTATION
        ):
            continue
        yield node
        pending.extend(ast.iter_child_nodes(node))


def start(node):
    """Returns the place where a node begins."""
    return node.lineno, node.col_offset


def end(node):
    """Returns the place after a node."""
    return node.end_lineno, node.end_col_offset


def faults_of_statement(statement, source):
    """Yields (kind, start, end, replacement) of the faults of a statement that is no expression."""
    if isinstance(statement, ast.If | ast.While):
        yield (
            "condition",
            start(statement.test),
            end(statement.test),
            _negated(statement.test, source),
        )
    if isinstance(statement, ast.AugAssign):
        yield "term", start(statement), end(statement), "pass"
        if type(statement.op) in OPERATORS and not _is_wording(statement.value):
            old, new = OPERATORS[type(statement.op)]
            between = source(end(statement.target), start(statement.value))
            replaced = between.replace(f"{old}=", f"{new}=", 1)
            yield "operator", end(statement.target), start(statement.value), replaced


def faults(node, source):
    """Yields (kind, start, end, replacement) of the faults of one node of an expression."""
    if isinstance(node, ast.BinOp):
        yield from _of_arithmetic(node, source)
    elif isinstance(node, ast.Compare) and len(node.ops) == 1:
        old, new = COMPARISONS[type(node.ops[0])]
        between = source(end(node.left), start(node.comparators[0]))
        replaced = re.sub(re.escape(old).replace(r"\ ", r"\s+"), new, between, count=1)
        yield "comparison", end(node.left), start(node.comparators[0]), replaced
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        first, second = node.values
        yield "term", start(node), end(node), source(start(first), end(first))
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        between = source(end(first), start(second))
        yield "condition", end(first), start(second), between.replace(old, new, 1)
    elif isinstance(node, ast.IfExp):
        yield "condition", start(node.test), end(node.test), _negated(node.test, source)
    elif isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield "condition", start(test), end(test), _negated(test, source)
    elif isinstance(node, ast.Call):
        yield from _of_call(node, source)
    elif isinstance(node, ast.keyword):
        yield from _of_keyword(node)
    elif isinstance(node, ast.Constant | ast.UnaryOp):
        yield from _of_number(node)


def _negated(test, source):
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return source(start(test.operand), end(test.operand))
    return f"not ({source(start(test), end(test))})"


def _is_wording(node):
    """Whether arithmetic on a node is of text or of paths, where another operator is no small fault."""
    if isinstance(node, ast.BinOp):
        return _is_wording(node.left) or _is_wording(node.right)
    text = isinstance(node, ast.Constant) and isinstance(node.value, str)
    return text or isinstance(node, ast.JoinedStr | ast.List | ast.Tuple | ast.Dict)


def _of_arithmetic(node, source):
    left, right = (
        source(start(node.left), end(node.left)),
        source(start(node.right), end(node.right)),
    )
    path = isinstance(node.op, ast.Div) and PATH.search(left)
    if _is_wording(node) or path or isinstance(node.op, ast.BitOr | ast.Mod):
        return
    between = source(end(node.left), start(node.right))
    if type(node.op) in OPERATORS:
        old, new = OPERATORS[type(node.op)]
        yield "operator", end(node.left), start(node.right), between.replace(old, new, 1)
    if isinstance(node.op, ast.Sub | ast.Div | ast.FloorDiv | ast.MatMult):
        swapped = f"{_enclosed(node.right, right)} {_sign(node.op)} {_enclosed(node.left, left)}"
        yield "swap", start(node), end(node), swapped
    if isinstance(node.op, ast.Add | ast.Sub):
        yield "term", start(node), end(node), _enclosed(node.left, left)
    if isinstance(node.op, ast.Mult):
        masked = [MASK.search(text) for text in (left, right)]
        kept = right if masked[0] and not masked[1] else left
        kind = "mask" if any(masked) else "term"
        yield kind, start(node), end(node), f"({kept})"


def _sign(operator):
    return {ast.Sub: "-", ast.Div: "/", ast.FloorDiv: "//", ast.MatMult: "@"}[type(operator)]


def _enclosed(node, text):
    return (
        text
        if isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Constant)
        else f"({text})"
    )


def _of_call(node, source):
    function, arguments = node.func, node.args
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in OPPOSITES:
        yield (
            "operator",
            (end(function)[0], end(function)[1] - len(name)),
            end(function),
            OPPOSITES[name],
        )
    over_axis = isinstance(function, ast.Attribute) and name in OVER_AXIS and len(arguments) > 1
    if over_axis and (number := _number(arguments[1])) is not None:
        yield "axis", start(arguments[1]), end(arguments[1]), str(_other_axis(number))
    if name == "range" and len(arguments) == 1 and _number(arguments[0]) is None:
        yield "off-by-one", end(arguments[0]), end(arguments[0]), " - 1"
    if name == "where" and len(arguments) == 3:
        yield "mask", start(node), end(node), source(start(arguments[1]), end(arguments[1]))
    pair = arguments[-2:] if name == "where" else arguments[:2]
    plain = len(pair) == 2 and all(isinstance(a, ast.Name | ast.Attribute) for a in pair)
    if len(pair) == 2 and (name in ORDERED or (plain and name not in SYMMETRIC)):
        first, second = (source(start(a), end(a)) for a in pair)
        between = source(end(pair[0]), start(pair[1]))
        yield "swap", start(pair[0]), end(pair[1]), f"{second}{between}{first}"


def _of_keyword(node):
    number = _number(node.value)
    if node.arg in ("axis", "axes") and number is not None:
        yield "axis", start(node.value), end(node.value), str(_other_axis(number))
    constant = isinstance(node.value, ast.Constant)
    if node.arg and "mask" in node.arg and not constant:
        yield "mask", start(node.value), end(node.value), "None"


def _other_axis(number):
    return {-1: -2, -2: -1, 0: 1}.get(number, number - 1)


def _number(node):
    """Returns the integer that a node writes, or None."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return None if inner is None else -inner
    is_integer = isinstance(node, ast.Constant) and type(node.value) is int
    return node.value if is_integer else None


def _of_number(node):
    """Yields faults of a number or a truth value; `-1` is the number 1 with a sign, and one fault."""
    value = node.value if isinstance(node, ast.Constant) else None
    if isinstance(value, bool):
        yield "constant", start(node), end(node), str(not value)
    elif isinstance(value, int):
        yield "off-by-one", start(node), end(node), str(value + 1)
    elif isinstance(value, float):
        small = 0 < value < 1e-2
        yield (
            "epsilon" if small else "constant",
            start(node),
            end(node),
            repr(value * 1000 if small else value + 0.5),
        )
