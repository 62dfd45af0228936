"""Fine-tuning on conversations: the stage `train`, and the fits that references are made of."""
