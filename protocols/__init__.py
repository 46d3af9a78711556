"""Procedures on a CimArray: programming, noise, calibration. Plans are data, procedures generators.

    result = program(array, WriteVerify(), cells, target)
"""

from .ispp import Ispp
from .jobs import JOBS
from .procedure import Plan, Round, finish
from .program import ProgramResult, program, program_steps
from .ramps import RampPlan
from .triggered import Blind, BlindResult, blind, moved, program_pairs
from .write_verify import WriteVerify

__all__ = [
    "JOBS",
    "Blind",
    "BlindResult",
    "Ispp",
    "Plan",
    "ProgramResult",
    "RampPlan",
    "Round",
    "WriteVerify",
    "blind",
    "finish",
    "moved",
    "program",
    "program_pairs",
    "program_steps",
]
