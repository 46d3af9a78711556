"""stub"""


def board() -> None:
    """Stub."""


def lenet() -> None:
    """Stub."""
