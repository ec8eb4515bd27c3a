"""A TPU of one core for every process of a test: XLA on the processor, which Lightning takes for one.

Python imports this first where the folder is on its path. Lightning asks the PCI bus how many cores
there are; here it is told.
"""

import os

if os.environ.get("PJRT_DEVICE") == "CPU":
    from lightning.fabric.accelerators.xla import XLAAccelerator

    for name, answer in {"auto_device_count": 1, "is_available": True}.items():
        setattr(XLAAccelerator, name, staticmethod(lambda answer=answer: answer))
