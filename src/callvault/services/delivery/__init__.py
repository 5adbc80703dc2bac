"""What goes out: views, renditions, waveforms, artifacts, and the links to them."""
