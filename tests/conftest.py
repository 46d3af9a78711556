"""Shared by all tests: how hypothesis searches."""

import os

import hypothesis

# shared machines stall; and what a change is judged by must not depend on luck
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
