"""Painted assembly clips with known steps and known errors."""
