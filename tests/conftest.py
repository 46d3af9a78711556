"""Shared by all tests: how hypothesis searches, and how many threads a worker may start."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # there is a worker for each core already
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis

# shared machines stall; and what a change is judged by must not depend on luck
patient = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("local", patient)
hypothesis.settings.register_profile("ci", patient, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
