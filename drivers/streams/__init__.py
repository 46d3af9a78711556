"""Byte streams under the board link: serial, TCP, in-process."""
