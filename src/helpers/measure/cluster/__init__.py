"""A sweep's lots on many machines, by Dask: what a worker does, how workers are had, what the client does."""
