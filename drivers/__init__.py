"""Drivers: the SoC board, instruments, and arrays made of instruments."""
