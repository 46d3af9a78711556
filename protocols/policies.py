"""Every programming policy on one band, to be compared."""

from __future__ import annotations

from typing import Any

from cimlab.core.array import Limits
from cimlab.protocols.ispp import Ispp
from cimlab.protocols.passes import Passes
from cimlab.protocols.pi_control import PiControl
from cimlab.protocols.predicted import Predicted, Response
from cimlab.protocols.verified import VerifyPlan
from cimlab.protocols.write_verify import WriteVerify

V_MOST = 3.0
"""Largest amplitude of all policies, unless the array's limits are tighter, V."""


def stops(limits: Limits) -> dict[str, float]:
    """Largest amplitudes of every policy, V."""
    return {"set_stop": min(V_MOST, limits.v_set), "reset_stop": min(V_MOST, limits.v_reset)}


def policies(
    response: Response,
    limits: Limits,
    tol: float,
    averages: int,
    v_step: float | None = None,
    rest: float = 1.0,
) -> dict[str, VerifyPlan]:
    """Policies by name, all with the same band, reads, pulse width and largest amplitudes.

    Args:
        response: Of the device, for the predicted pulses; its width is everybody's.
        limits: Of the array.
        tol: Half of the band, A at 0.1 V.
        averages: Conversions of a verify read.
        v_step: Step of the ramps, V; None for each protocol's own. A device that one pulse
            moves little needs a small one, or its ramps end before they arrive.
        rest: Between two passes, s.
    """
    common: dict[str, Any] = {"tol": tol, "averages": averages, "width": response.width}
    common |= stops(limits)
    ramp = {"on_board": "never"} | ({} if v_step is None else {"v_step": v_step})
    led = Ispp.precise()
    leads = {name: getattr(led, name) for name in ("set_start", "reset_start")}
    leads |= {name: getattr(led, name) for name in ("set_lead", "reset_lead")}
    ispp = Ispp(**common, **ramp)
    predicted = Predicted(**common, response=response)
    return {
        "paper": WriteVerify(**common, **ramp, cycles=5),
        "ispp": ispp,
        "ispp-led": Ispp(**common, **ramp, **leads),
        "pi": PiControl(**common),
        "predicted": predicted,
        "ispp-passes": Passes(plan=ispp, rest=rest),
        "predicted-passes": Passes(plan=predicted, rest=rest),
    }
