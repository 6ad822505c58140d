"""From runs to evidence: cells, gains, ranks, and published numbers beside them."""
