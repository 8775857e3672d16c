"""Numbers in a specification: `{logspace = [2, 5, 13]}`, and arithmetic such as `inputs =
"round(sqrt(n))"`.

Arithmetic is read by a grammar of its own, never by `eval`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from kt_theory.validation import shown, unknown_name, whole_number

_OPERATORS: dict[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
    "min": min,
    "max": max,
}


def logspace(bounds: Any, where: str, kind: str, most: int) -> tuple[Any, ...]:
    """Return the values of [a, b, points], 10^a to 10^b, at most `most` of them; whole ones once
    each if rounded.
    """
    numbers = isinstance(bounds, (list, tuple)) and [b for b in bounds if type(b) in (int, float)]
    if not numbers or len(numbers) != 3 or len(bounds) != 3:
        raise ValueError(
            f"{where}: logspace = {shown(bounds)}: must be [a, b, points], from 10^a to 10^b"
        )
    low, high = bounds[:2]
    points = whole_number(bounds[2], f"{where}: points of logspace", low=1, high=most)
    if not -300 <= low <= high <= 15.9:
        raise ValueError(
            f"{where}: logspace = {shown(bounds)}: must be [a, b, points] with a <= b <= 15.9"
        )
    values = [10.0 ** (low + (high - low) * i / max(points - 1, 1)) for i in range(points)]
    return tuple(dict.fromkeys(round(v) for v in values)) if kind == "int" else tuple(values)


def evaluate(text: str, names: Mapping[str, float]) -> float:
    """Return the value of an arithmetic expression.

    Parameters
    ----------
    text : str
        Numbers, names, + - * / // **, brackets, and sqrt, log (natural), exp, floor, ceil, round,
        min, max.
    names : mapping
        What the names stand for, such as {"n": 100}.

    Raises
    ------
    ValueError
        If it is not such an expression, has an unknown name, or has no finite value.
    """
    shown = repr(text) if len(text) <= 60 else f"{text[:57]!r}..."
    try:
        value = _value(ast.parse(text, mode="eval").body, names)
        finite = math.isfinite(value)
    except (SyntaxError, MemoryError):
        raise ValueError(
            f"{shown}: must be a number or an expression in {', '.join(names)}"
        ) from None
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        where = ", ".join(f"{name} = {given:g}" for name, given in names.items())
        raise ValueError(f"{shown}: {error}, at {where}") from None
    if not finite:
        raise ValueError(f"{shown} = {value}: must be finite")
    return value


def _value(node: ast.AST, names: Mapping[str, float]) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.Name):
        if node.id not in names:
            raise unknown_name("name in an expression", node.id, names)
        return names[node.id]
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATORS:
        return _OPERATORS[type(node.op)](_value(node.operand, names))
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(node.op, ast.Pow):
            return math.pow(left, right)
        if type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        if node.func.id not in FUNCTIONS:
            raise unknown_name("function", node.func.id, FUNCTIONS)
        return FUNCTIONS[node.func.id](*(_value(argument, names) for argument in node.args))
    raise ValueError(
        f"{ast.unparse(node)!r}: only arithmetic, {', '.join(FUNCTIONS)} may stand in an expression"
    )
