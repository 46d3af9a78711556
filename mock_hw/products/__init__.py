"""Products of a chip's tiles with their converters, compiled: activations in, currents out.

A block of vectors goes through everything while it lies in the cache: input codes, the product,
one normal an output (see `converters`), the ADC, and what the caller wants of the codes. The same
is done in two orders: along the vectors (`lanes`, for maps and narrow tiles) and along a tile's
columns (`columns`, for plain vectors).

Sums run over the rows in order, a fused multiply-add at a time (contraction is allowed, nothing
else is), so both give the same bits, however a batch is cut. What is added up after the
conversion is exact: codes have 8 bits, what they are multiplied by 16
(`wire.scaling.sixteen_bits`).
"""

from cimlab.mock_hw.products.along_columns import columns
from cimlab.mock_hw.products.along_vectors import lanes
from cimlab.mock_hw.products.plan import Plan

__all__ = ["Plan", "columns", "lanes"]
