"""The board link, sans-IO: frames, messages, sessions."""
