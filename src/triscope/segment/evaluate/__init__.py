"""Evaluations: prompts, clicks, edges, proposals, instances, groups, annotators, data sets."""
