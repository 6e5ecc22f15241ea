"""Training: what `transformers.Trainer` needs. Uses the model; nothing else in the package uses this."""
