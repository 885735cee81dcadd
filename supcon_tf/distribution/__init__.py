"""Distribution strategies by name, and communication between replicas.

- `strategy`: creates a strategy of tf.distribute.
- `distribute_batches`: lets each worker load only its own rows of every batch.
- `is_chief`: returns whether this process writes files.
"""

from supcon_tf.distribution.strategies import distribute_batches, is_chief, strategy

__all__ = ["distribute_batches", "is_chief", "strategy"]
