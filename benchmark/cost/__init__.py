"""What networks and training cost, counted and measured. `python -m benchmark.cost` measures a grid on this device."""
