"""Training of models on first-principles data."""
