"""stub"""


def train() -> None:
    """Stub."""


def lenet() -> None:
    """Stub."""
