"""Language models: loading, chat formats, batches, losses, FLOPs."""
