"""Tasks of monitoring: measuring live signals, judging rules, noting alerts."""
