"""The window: live conductance maps, training and the bench, on pyqtgraph and PySide6.

Needs the extra `cimlab[gui]`; without it the import ends with one ConfigError. Nothing in here
measures, programs or knows physics: run files come through `cimlab.records`, hardware through
`cimlab.rig` and procedures from `cimlab.protocols`, each outside Qt's thread.
"""

from importlib.util import find_spec

from cimlab.core.errors import ConfigError

# looked for, not imported: the process that reads run files needs no Qt
for _name in ("PySide6", "pyqtgraph"):
    if find_spec(_name) is None:
        raise ConfigError(f"the window needs {_name}: pip install 'cimlab[gui]'")
