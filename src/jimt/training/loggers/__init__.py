"""Where a training's metrics go: ``metrics.csv`` always, TensorBoard and Weights & Biases where asked."""
