"""The gateway: it answers callers, now, by the route that the control store holds."""
