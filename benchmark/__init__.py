"""Run relational knowledge-distillation methods on a grid of pairs, data sets and seeds."""
