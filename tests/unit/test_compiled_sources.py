"""What the compiler of the hot path gets wrong without a word is not in the sources it compiles.

Each rule stands for something that mypyc translates into a program which does another thing. What
it refuses to compile needs no rule. `make test-compiled` finds what these do not know of.
"""

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator

import pytest
from tests.support.hot_path import SOURCE, hot_path

TREES = {str(path): ast.parse((SOURCE / path).read_text()) for path in hot_path()}


def found(kind: type[ast.AST], under: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Every node of this kind, at any depth."""
    return (node for top in under for node in ast.walk(top) if isinstance(node, kind))


def waits(statements: Iterable[ast.stmt]) -> bool:
    """Whether a coroutine can be suspended in these."""
    kinds = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.Yield, ast.YieldFrom)
    return any(True for kind in kinds for _ in found(kind, statements))


def suspended_while_handling(tree: ast.AST) -> Iterator[str]:
    """A compiled coroutine has no exception state of its own.

    What is being handled when it is suspended stays the loop's, and the next `finally` that waits
    raises it again, in whatever request that is.
    """
    for node in found(ast.Try, [tree]):
        assert isinstance(node, ast.Try)
        if waits(node.finalbody) or any(waits(handler.body) for handler in node.handlers):
            yield f"line {node.lineno} waits in `except` or `finally`"


def handlers_of_one_name(tree: ast.AST) -> Iterator[str]:
    """The first handler of a function gives a name its type; another's exception is a TypeError."""
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        types: dict[str, set[str]] = {}
        for node in found(ast.ExceptHandler, [function]):
            assert isinstance(node, ast.ExceptHandler)
            if node.name is not None and node.type is not None:
                types.setdefault(node.name, set()).add(ast.unparse(node.type))
        for name, caught in types.items():
            if len(caught) > 1:
                yield f"line {function.lineno}: `{name}` is one of {sorted(caught)}"


def constant_tuples_of_floats(tree: ast.AST) -> Iterator[str]:
    """Such a constant counts as not set, or is made anew at each use; tuple[float, ...] is fine."""
    for node in found(ast.AnnAssign, [tree]):
        assert isinstance(node, ast.AnnAssign)
        if ast.unparse(node.annotation) == "Final" and isinstance(node.value, ast.Tuple):
            first = node.value.elts[0]
            if isinstance(first, ast.Constant) and type(first.value) is float:
                yield f"line {node.lineno}: {ast.unparse(node.target)}"


Rule = Callable[[ast.AST], Iterator[str]]


def looked_at_again(tree: ast.AST) -> Iterator[str]:
    """An attribute that was set keeps that type for the rest of a function, to mypy and to mypyc.

    Where a call in between has made it None, to ask which one it is ends in a TypeError.
    """
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        set_at: dict[str, int] = {}
        for node in found(ast.Assign, [function]):
            assert isinstance(node, ast.Assign)
            for target in node.targets:
                if isinstance(target, ast.Attribute):
                    set_at.setdefault(ast.unparse(target), node.lineno)
        for node in found(ast.Compare, [function]):
            assert isinstance(node, ast.Compare)
            asked = ast.unparse(node.left)
            if (
                isinstance(node.ops[0], ast.Is | ast.IsNot)
                and not isinstance(node.comparators[0], ast.Constant)
                and set_at.get(asked, node.lineno) < node.lineno
            ):
                yield f"line {node.lineno}: {asked}"


# Those that mypyc knows by their C names.
_KNOWN = {"bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "range", "set",
          "str", "tuple", "type"}  # fmt: skip


def fields_of_other_builtins(tree: ast.AST) -> Iterator[str]:
    """Of a dataclass or NamedTuple: they are looked for in the module, and the import fails."""
    for owner in found(ast.ClassDef, [tree]):
        assert isinstance(owner, ast.ClassDef)
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.annotation, ast.Name):
                name = node.annotation.id
                if hasattr(builtins, name) and name not in _KNOWN:
                    yield f"line {node.lineno}: {name}"


RULES: tuple[Rule, ...] = (
    suspended_while_handling,
    handlers_of_one_name,
    constant_tuples_of_floats,
    fields_of_other_builtins,
    looked_at_again,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_compiled_sources_keep(rule: Rule) -> None:
    """In every module that is compiled."""
    broken = {path: list(rule(tree)) for path, tree in TREES.items()}
    assert {path: lines for path, lines in broken.items() if lines} == {}


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (suspended_while_handling, "async def f():\n try: g()\n except E:\n  await h()"),
        (suspended_while_handling, "async def f():\n try: g()\n finally:\n  await h()"),
        (handlers_of_one_name, "def f():\n try: g()\n except A as e: 1\n except B as e: 2"),
        (looked_at_again, "def f():\n a.b = c\n g()\n if a.b is c: 1"),
        (fields_of_other_builtins, "class A:\n a: object"),
        (constant_tuples_of_floats, "A: Final = (1.0, 2.0)"),
    ],
)
def test_each_rule_sees_what_it_is_for(rule: Rule, source: str) -> None:
    """A rule that finds nothing would be kept by everything."""
    assert len(list(rule(ast.parse(source)))) == 1
