"""Assembly steps: a procedure, frame scores, decoding, errors with their span, metrics."""
