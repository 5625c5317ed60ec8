"""Training of networks in torch: the only place that imports it (extra `train`)."""
