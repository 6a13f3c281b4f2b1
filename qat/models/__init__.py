"""The networks that are trained: presets of the Hugging Face models, and our own SReT."""
