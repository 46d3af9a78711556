"""What this process is called in logs and run files, so that one is found with the other."""

from __future__ import annotations

import uuid

RUN_ID = uuid.uuid4().hex[:12]
