"""Mock hardware: device physics, crossbar, emulated board and instruments."""
