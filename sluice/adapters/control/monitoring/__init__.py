"""What the control store holds of watching: alerts and signals, performance, drift, retrainings."""
