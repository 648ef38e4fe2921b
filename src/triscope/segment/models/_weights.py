"""Weights of others into a network: the kernel's, under the name that this domain has used."""

from triscope.kernel.nn.published import load_published

__all__ = ["load_published"]
