"""Examples of the documentation, executed by tests, and what writes its generated parts."""
