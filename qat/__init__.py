"""Training of low-bit transformers: quantisers, quantised models, losses, the training loop and the integer export."""
