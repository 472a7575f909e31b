"""What the service tells about itself: metrics, traces, the delay of its event loop."""
