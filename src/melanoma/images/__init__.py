"""From photographs on disk to the batches a network is fed."""
