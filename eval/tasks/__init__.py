"""Evaluation tasks, one benchmark a file: `load(labels, limit)` gives its recordings and what is true of them."""
