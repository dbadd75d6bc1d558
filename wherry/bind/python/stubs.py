"""Modules as stubs: declarations with their docstrings, and no bodies."""

from __future__ import annotations

import ast

__all__ = ["as_stub"]


def as_stub(source: bytes) -> bytes:
    """What of a generated module type checkers and editors read."""
    tree = ast.parse(source)
    kept: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            continue
        if _is_shared(node):
            kept += _alias(node, tree)
            continue
        kept.append(node)
    tree.body = [node for node in kept if not _is_private(node)]
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            function.body = [*_doc(function), ast.Expr(ast.Constant(...))]
    return (ast.unparse(ast.fix_missing_locations(tree)) + "\n").encode()


def _doc(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    return node.body[:1] if ast.get_docstring(node, clean=False) is not None else []


def _is_shared(node: ast.stmt) -> bool:
    """Whether it is ``decode = _shared.decode``."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Attribute)
        and isinstance(node.value.value, ast.Name)
        and node.value.value.id == "_shared"
    )


def _is_private(node: ast.stmt) -> bool:
    """Whether it is ``_shared = ...``, or brings in what only bodies use."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "_component"
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "_shared"
    )


def _alias(node: ast.stmt, tree: ast.Module) -> list[ast.stmt]:
    """The function of the class, as a function of the module."""
    assert isinstance(node, ast.Assign)  # noqa: S101 - as `_is_shared` says
    assert isinstance(node.targets[0], ast.Name)  # noqa: S101 - as above
    for found in ast.walk(tree):
        if isinstance(found, ast.FunctionDef | ast.AsyncFunctionDef) and found.name == node.targets[0].id:
            made = type(found)(**{name: getattr(found, name) for name in found._fields})
            assert isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef)  # noqa: S101 - as above
            made.args = ast.arguments(
                posonlyargs=[], args=found.args.args[1:], kwonlyargs=[], kw_defaults=[], defaults=[]
            )
            return [made]
    return []
