"""From a results folder to figures and tables: reads records only, imports neither torch nor timm."""

try:
    import benchmark.errors  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        f"the suite's package 'benchmark' is not what Python finds by that name ({error}); work in another folder, or "
        "rename or uninstall what shadows it"
    ) from error
