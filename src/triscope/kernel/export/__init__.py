"""The writer of check folders: graphs, weights, golden answers, and the proof that they agree."""
