"""Rules on live figures, the life of their alerts, and their export to Prometheus and Grafana."""
