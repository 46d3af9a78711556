"""No display is needed: Qt draws into memory."""

import os

os.environ["QT_QPA_PLATFORM"] = os.environ.get("CIMLAB_QPA", "offscreen")
os.environ["OMP_NUM_THREADS"] = "1"
