"""Device physics: state functions without bytes, clocks or sleep."""
