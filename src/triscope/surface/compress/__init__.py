"""Smaller networks from trained ones: structured pruning and distillation."""
