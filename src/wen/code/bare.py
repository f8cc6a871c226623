"""Reduce Python code to what can change a number: no comments, docstrings, line breaks or messages."""

import ast
import io
import tokenize
from collections.abc import Iterator
from functools import cache
from typing import cast

TALK = {"exit", "print", "warn", "track", "epoch_bar", "TextColumn"}
"""Functions whose arguments are only read by people."""


@cache
def bare(text: str) -> str:
    """Write Python code as its tokens, without comments, docstrings, line breaks and messages.

    A message is a string that is raised, passed as ``help`` or to one of `TALK`, returned by a function of type
    `wen.errors.Message`, or assigned to a name of this type. A string inside a message that decides something counts
    as code.

    ``ast.unparse`` is not used, because its output differs between versions of Python.
    """
    spans = _spans(text)
    tokens: list[str] = []
    end = (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.start < end or token.type in (tokenize.COMMENT, tokenize.NL):
            continue
        if token.start in spans:
            end, replacement = spans[token.start]
            tokens += [replacement] if replacement else []
        elif token.type == tokenize.INDENT:
            tokens.append("{")
        elif token.type == tokenize.DEDENT:
            tokens.append("}")
        elif token.type == tokenize.NEWLINE:
            tokens += ["\n"] if tokens and tokens[-1] not in ("\n", "{", "}") else []
        else:
            tokens.append(token.string)
    return " ".join(tokens)


Position = tuple[int, int]


def _spans(text: str) -> dict[Position, tuple[Position, str]]:
    """Find the strings that are not copied unchanged: their start, their end, and the text that replaces them.

    A standalone string is removed. Of a message, it only counts whether it is empty. An f-string is copied from the
    source, because its tokens differ between versions of Python.
    """
    lines = [line.encode() for line in io.StringIO(text)]

    def place(row: int, column: int) -> Position:
        return row, len(lines[row - 1][:column].decode())

    def written(node: ast.expr) -> str:
        """Return the source of a node; `ast.get_source_segment` would split the complete text for each node."""
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        found = lines[first : last + 1]
        found[-1] = found[-1][: node.end_col_offset]
        found[0] = found[0][node.col_offset :]
        return b"".join(found).decode()

    spans: dict[Position, tuple[Position, str]] = {}
    tree = ast.parse(text)
    every = list(ast.walk(tree))
    for strings, kind in ((_strings(tree), "as it is"), (_messages(every), "message"), (_alone(every), "alone")):
        for node in strings:
            begin, end = place(node.lineno, node.col_offset), place(node.end_lineno or 0, node.end_col_offset or 0)
            message = '""' if _is_empty(node) else '"..."'
            spans[begin] = end, {"as it is": written(node), "message": message, "alone": ""}[kind]
    return spans


def _is_empty(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _alone(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Find standalone strings, such as docstrings."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _messages(nodes: list[ast.AST]) -> Iterator[ast.expr]:
    """Find the strings that only people read."""
    for node in nodes:
        if isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg == "help"):
            yield from _strings(node, constants=True)
        elif isinstance(node, ast.Call) and _name(node.func) in TALK:
            texts = (text for argument in [*node.args, *node.keywords] for text in _texts(argument))
            yield from (text for text in texts if _only_shows(text))
        elif isinstance(node, ast.AnnAssign) and _name(node.annotation) == "Message" and node.value:
            yield from _texts(node.value)
        elif isinstance(node, ast.FunctionDef) and _name(node.returns) == "Message":
            returned = (part.value for part in ast.walk(node) if isinstance(part, ast.Return) and part.value)
            yield from (text for value in returned for text in _texts(value))


def _texts(node: ast.AST) -> Iterator[ast.expr]:
    """Find the strings that become part of the text of an expression: no keys, operands of comparisons or arguments."""
    if isinstance(node, ast.Subscript | ast.Compare):
        return
    if isinstance(node, ast.Call):
        joined = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        for argument in node.args if joined else []:
            yield from _texts(argument)
    elif isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            yield from _texts(child)


def _only_shows(string: ast.expr) -> bool:
    """Whether a string contains, if it is an f-string, only names and their attributes, and calls nothing."""
    return not any(isinstance(node, ast.Call | ast.NamedExpr | ast.Await | ast.Yield) for node in ast.walk(string))


def _strings(tree: ast.AST, constants: bool = False) -> Iterator[ast.expr]:
    """Find f-strings and, if requested, other strings; none inside another."""
    constant = isinstance(tree, ast.Constant) and isinstance(tree.value, str)
    if isinstance(tree, ast.JoinedStr) or (constants and constant):
        yield cast(ast.expr, tree)
    else:
        for node in ast.iter_child_nodes(tree):
            yield from _strings(node, constants)


def _name(node: ast.AST | None) -> str:
    return getattr(node, "id", "") or getattr(node, "attr", "")
