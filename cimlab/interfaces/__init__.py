"""cimlab in other people's laboratories: QCoDeS, PyMeasure, pytest, aihwkit, CrossSim.

Each module needs what it is named after, and nothing else imports it; see docs/interfaces.md.
"""
