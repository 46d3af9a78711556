"""Shared by all tests: how hypothesis searches."""

import os

import hypothesis

# shared machines stall; and what a change is judged by must not depend on luck
patient = hypothesis.settings(
    deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile("local", patient)
hypothesis.settings.register_profile("ci", patient, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
