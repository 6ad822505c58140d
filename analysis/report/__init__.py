"""What is written: statements, a paper, and `report.html` with every figure, table, hole and origin of the numbers."""
