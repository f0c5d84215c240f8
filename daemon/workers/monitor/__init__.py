"""The monitor: figures of host, processes and GPUs, event files for TensorBoard, alerts. It never imports torch."""
