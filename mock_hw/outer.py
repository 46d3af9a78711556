"""The inner loop of the products: a few scalars times a strip of lanes, row after row.

Sums of eight times 32 numbers stay in registers while the rows go by, which no loop over arrays
makes LLVM do; so the loop is written in its language. It does the same fused multiply-adds in the
same order as a plain loop, on any machine.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

STRIP = 32
"""Lanes of a strip."""
_WIDTH = 16
_I64, _F32 = ir.IntType(64), ir.FloatType()
_VECTOR = ir.VectorType(_F32, _WIDTH)
_slot: Any = cgutils.alloca_once  # outside the loops: it becomes a register


def _strip_of(scalars: int) -> Any:
    """The loop for so many scalars a row, as a function for compiled code."""

    @intrinsic
    def strip(typing: Any, s: Any, s0: Any, step: Any, v: Any, at: Any, v0: Any, o: Any) -> Any:
        """o[k, :32] = sum over rows r of s[s0 + r * step[0] + k * step[1]] * v[at[r] + v0 ...].

        s, v, o are flat float32, at and step int64 arrays; step also holds o's place and line.
        """
        del typing

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            arrays = {
                i: context.make_array(signature.args[i])(context, builder, args[i])
                for i in (0, 2, 3, 4, 6)
            }
            data = {i: array.data for i, array in arrays.items()}
            rows = builder.extract_value(arrays[4].shape, 0)
            row_step, next_step, o0, line = (
                builder.load(builder.gep(data[2], [ir.Constant(_I64, i)])) for i in range(4)
            )
            halves = [ir.Constant(_I64, i * _WIDTH) for i in range(STRIP // _WIDTH)]

            def vector(array: Any, place: Any) -> Any:
                return builder.bitcast(builder.gep(array, [place]), _VECTOR.as_pointer())

            cells = [[_slot(builder, _VECTOR) for _ in halves] for _ in range(scalars)]
            for cell in (c for row in cells for c in row):
                builder.store(ir.Constant(_VECTOR, None), cell)
            with cgutils.for_range(builder, rows, intp=_I64) as loop:
                lane = builder.add(builder.load(builder.gep(data[4], [loop.index])), args[5])
                xs = [builder.load(vector(data[3], builder.add(lane, h)), align=4) for h in halves]
                place = builder.add(args[1], builder.mul(loop.index, row_step))
                for k in range(scalars):
                    here = builder.add(place, builder.mul(ir.Constant(_I64, k), next_step))
                    one = builder.load(builder.gep(data[0], [here]))
                    undefined = ir.Constant(_VECTOR, ir.Undefined)
                    first = builder.insert_element(undefined, one, ir.Constant(_I64, 0))
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), None)
                    spread = builder.shuffle_vector(first, undefined, mask)
                    for x, cell in zip(xs, cells[k], strict=True):
                        product = builder.fmul(spread, x, flags=("contract",))
                        total = builder.fadd(builder.load(cell), product, flags=("contract",))
                        builder.store(total, cell)
            for k in range(scalars):
                start = builder.add(o0, builder.mul(ir.Constant(_I64, k), line))
                for half, cell in zip(halves, cells[k], strict=True):
                    target = vector(data[6], builder.add(start, half))
                    builder.store(builder.load(cell), target, align=4)
            return context.get_dummy_value()

        return types.void(s, types.int64, step, v, at, types.int64, o), generate

    return strip


strip_of_1, strip_of_4, strip_of_8 = _strip_of(1), _strip_of(4), _strip_of(8)
