"""Hallucination over sets of answers: cases, runs, metrics, statistics and the report."""
