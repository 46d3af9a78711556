"""stub"""


def demo() -> None:
    """Stub."""


def lenet() -> None:
    """Stub."""
