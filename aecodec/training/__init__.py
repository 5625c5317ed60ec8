"""Training networks in torch (extra `train`): the only place that imports it."""
