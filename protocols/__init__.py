"""Procedures on a CimArray: programming, characterisation, calibration.

Plans are data, procedures are generators; `cimlab.protocols.sweeps` lists the characterisation.

result = program(array, WriteVerify(), cells, target)
"""

from cimlab.protocols.ispp import Ispp
from cimlab.protocols.jobs import JOBS
from cimlab.protocols.passes import Passes
from cimlab.protocols.pi_control import PiControl
from cimlab.protocols.predicted import Predicted, Response
from cimlab.protocols.procedure import Plan, Round, finish
from cimlab.protocols.program import ProgramResult, program, program_and_read, program_steps
from cimlab.protocols.ramps import RampPlan
from cimlab.protocols.triggered import Blind, BlindResult, blind, moved, program_pairs
from cimlab.protocols.verified import VerifyPlan
from cimlab.protocols.write_verify import WriteVerify

__all__ = [
    "JOBS",
    "Blind",
    "BlindResult",
    "Ispp",
    "Passes",
    "PiControl",
    "Plan",
    "Predicted",
    "ProgramResult",
    "RampPlan",
    "Response",
    "Round",
    "VerifyPlan",
    "WriteVerify",
    "blind",
    "finish",
    "moved",
    "program",
    "program_and_read",
    "program_pairs",
    "program_steps",
]
