"""From a results folder to figures and tables: reads records only, imports neither torch nor timm."""
