"""Measures of finished runs, made again without training anything, once the suite measures them better."""
