"""Python imports this module when it starts, in the processes that tests start too.

Imports and graphs are many objects of which few are garbage: automatic collections find little, and
the last one, when a process ends, takes as long as half of the import of TensorFlow.
"""

import atexit
import gc

gc.set_threshold(100_000, 50, 1000)
atexit.register(gc.freeze)
