"""cimlab: instrument control and hardware-in-the-loop training on memristor arrays."""
