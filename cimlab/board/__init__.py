"""The board's side of the link, over a small HAL."""
