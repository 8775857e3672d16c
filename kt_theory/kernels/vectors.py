"""Vectors for kernels: lanes side by side, written for LLVM, which splits them into the registers
that the processor has.

Numba leaves it to LLVM to find vectors in loops, and LLVM does not find them where sums are kept
over rows or where a table is looked up while another array is written. Here they are spelt out, for
any processor: no instruction is named. Every sum has one order, and where a product is added it is
`fma`, rounded once, so that the bits are the same on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ir
from numba import extending

intrinsic: Any = extending.intrinsic
"""What it makes takes the arguments after the first, which mypy cannot know."""

INT, LONG, REAL = ir.IntType(32), ir.IntType(64), ir.DoubleType()


def number(value: int) -> Any:
    """Return a 64-bit integer constant."""
    return ir.Constant(LONG, value)


def entries(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the address of the first entry of an array of Numba's type `kind`."""
    return context.make_array(kind)(context, builder, value=array).data


class Lanes:
    """`width` lanes, and the builder that writes their instructions."""

    def __init__(self, builder: Any, width: int) -> None:
        self.builder = builder
        self.width = width

    def kind(self, element: Any) -> Any:
        """Return the type of a vector of such elements."""
        return ir.VectorType(element, self.width)

    def constant(self, element: Any, value: float) -> Any:
        """Return a vector of equal constants."""
        return ir.Constant(self.kind(element), [value] * self.width)

    def spread(self, value: Any) -> Any:
        """Return a vector with a scalar in every lane."""
        none = ir.Constant(self.kind(value.type), ir.Undefined)
        first = self.builder.insert_element(none, value, ir.Constant(INT, 0))
        return self.builder.shuffle_vector(first, none, self.constant(INT, 0))

    def load(self, address: Any, index: Any) -> Any:
        """Return the entries from number `index` on."""
        return self._at(address, index, self.builder.load)

    def store(self, vector: Any, address: Any, index: Any) -> None:
        """Write a vector from entry number `index` on."""
        self._at(address, index, lambda place: self.builder.store(vector, place))

    def _at(self, address: Any, index: Any, what: Callable[[Any], Any]) -> Any:
        element = address.type.pointee
        place = self.builder.gep(address, [index])
        done = what(self.builder.bitcast(place, self.kind(element).as_pointer()))
        done.align = element.width // 8 if isinstance(element, ir.IntType) else 8
        return done

    def below(self, index: Any, stop: Any) -> Any:
        """Return which of the entries from number `index` on come before number `stop`."""
        places = ir.Constant(self.kind(LONG), list(range(self.width)))
        return self.builder.icmp_signed(
            "<", self.builder.add(self.spread(index), places), self.spread(stop)
        )

    def load_some(self, address: Any, index: Any, wanted: Any) -> Any:
        """Return the reals from number `index` on in the lanes that are wanted, 0 in the others."""
        kind = self.kind(REAL)
        place = self.builder.bitcast(self.builder.gep(address, [index]), kind.as_pointer())
        given = [place, ir.Constant(INT, 8), wanted, self.constant(REAL, 0.0)]
        return self._masked(f"load.v{self.width}f64.p0", kind, given)

    def store_some(self, vector: Any, address: Any, index: Any, wanted: Any) -> None:
        """Write reals from entry number `index` on, in the lanes that are wanted alone."""
        place = self.builder.bitcast(self.builder.gep(address, [index]), vector.type.as_pointer())
        given = [vector, place, ir.Constant(INT, 8), wanted]
        self._masked(f"store.v{self.width}f64.p0", ir.VoidType(), given)

    def _masked(self, name: str, kind: Any, given: list[Any]) -> Any:
        module, full = self.builder.module, f"llvm.masked.{name}"
        function = ir.FunctionType(kind, [one.type for one in given])
        known = module.globals.get(full) or ir.Function(module, function, full)
        return self.builder.call(known, given)

    def size(self, x: Any) -> Any:
        """Return |x|."""
        return self.call("fabs", x)

    def pick(self, address: Any, indices: Any) -> Any:
        """Return the entries at `indices`, unsigned, one by one.

        Gather instructions are slower than this on many processors.
        """
        builder = self.builder
        picked = ir.Constant(self.kind(address.type.pointee), ir.Undefined)
        for lane in range(self.width):
            place = ir.Constant(INT, lane)
            index = builder.zext(builder.extract_element(indices, place), LONG)
            entry = builder.load(builder.gep(address, [index]))
            picked = builder.insert_element(picked, entry, place)
        return picked

    def call(self, name: str, *given: Any) -> Any:
        """Return what LLVM's function `name` makes of vectors of one type."""
        kind = given[0].type
        suffix = {INT: "i32", REAL: "f64"}[kind.element]
        function = self.builder.module.declare_intrinsic(
            f"llvm.{name}.v{self.width}{suffix}", (), ir.FunctionType(kind, [kind] * len(given))
        )
        return self.builder.call(function, given)

    def larger(self, x: Any, y: Any) -> Any:
        """Return the larger of each pair of reals; none is NaN."""
        found = self.call("maxnum", x, y)
        found.fastmath.update(("nnan", "nsz"))
        return found

    def fused(self, x: Any, y: Any, z: Any) -> Any:
        """Return x y + z, rounded once."""
        return self.call("fma", x, y, z)

    def minus(self, x: Any) -> Any:
        """Return -x."""
        return self.builder.fneg(x)

    def real(self, integers: Any) -> Any:
        """Return signed integers as reals."""
        return self.builder.sitofp(integers, self.kind(REAL))

    def fold(self, vector: Any, join: Callable[[Any, Any], Any]) -> Any:
        """Return all lanes joined into one: halves, and halves of halves."""
        builder = self.builder
        width = self.width
        while width > 1:
            width //= 2
            halves = [
                builder.shuffle_vector(
                    vector,
                    ir.Constant(vector.type, ir.Undefined),
                    ir.Constant(ir.VectorType(INT, width), list(range(at, at + width))),
                )
                for at in (0, width)
            ]
            vector = join(*halves)
        return builder.extract_element(vector, ir.Constant(INT, 0))

    def total(self, vector: Any) -> Any:
        """Return the sum over the lanes."""
        whole = isinstance(vector.type.element, ir.IntType)
        return self.fold(vector, self.builder.add if whole else self.builder.fadd)


def loop(
    builder: Any,
    stop: Any,
    step: int,
    carried: Sequence[Any],
    body: Callable[..., Sequence[Any]],
) -> list[Any]:
    """Write `for i in range(0, stop, step): carried = body(i, *carried)`; return the last
    `carried`.
    """
    before = builder.block
    turn = builder.append_basic_block("turn")
    after = builder.append_basic_block("after")
    builder.cbranch(builder.icmp_signed(">", stop, number(0)), turn, after)
    builder.position_at_end(turn)
    values = [builder.phi(LONG), *(builder.phi(value.type) for value in carried)]
    for value, start in zip(values, [number(0), *carried], strict=True):
        value.add_incoming(start, before)
    made = list(body(*values))
    end, following = builder.block, builder.add(values[0], number(step))
    for value, new in zip(values, [following, *made], strict=True):
        value.add_incoming(new, end)
    again = builder.cbranch(builder.icmp_signed("<", following, stop), turn, after)
    _keep_rolled(builder.module, again)
    builder.position_at_end(after)
    last = [builder.phi(value.type) for value in carried]
    for value, start, new in zip(last, carried, made, strict=True):
        value.add_incoming(start, before)
        value.add_incoming(new, end)
    return last


def loop_over_reals(
    lanes: Lanes,
    stop: Any,
    addresses: Sequence[Any],
    carried: Sequence[Any],
    body: Callable[..., Sequence[Any]],
    targets: Sequence[Any] = (),
) -> list[Any]:
    """Write `written, carried = body(which, *vectors, *carried)`, one behind the other, over the
    first `stop` entries of arrays of reals; return the last `carried`. What is written goes to the
    same entries of `targets`.

    Whole vectors first. The last are filled up with zeros, and `which` says what lanes are entries;
    it is None where all are.
    """
    builder, writes = lanes.builder, len(targets)
    whole = builder.and_(stop, number(-lanes.width))

    def full(i: Any, *so_far: Any) -> Sequence[Any]:
        made = body(None, *(lanes.load(address, i) for address in addresses), *so_far)
        for vector, target in zip(made[:writes], targets, strict=True):
            lanes.store(vector, target, i)
        return made[writes:]

    def last(i: Any, *so_far: Any) -> Sequence[Any]:
        wanted, at = lanes.below(i, builder.sub(stop, whole)), builder.add(whole, i)
        vectors = (lanes.load_some(address, at, wanted) for address in addresses)
        made = body(wanted, *vectors, *so_far)
        for vector, target in zip(made[:writes], targets, strict=True):
            lanes.store_some(vector, target, at, wanted)
        return made[writes:]

    sums = loop(builder, whole, lanes.width, carried, full)
    return loop(builder, builder.sub(stop, whole), lanes.width, sums, last)


def _keep_rolled(module: Any, branch: Any) -> None:
    """Tell LLVM not to unroll: it costs compile time and gains nothing where lanes are many."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    node = module.add_metadata([disable, disable, ir.Constant(INT, len(module.metadata))])
    node.operands = (node, disable)
    branch.set_metadata("llvm.loop", node)
