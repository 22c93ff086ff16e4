"""In which order things happen; one file a flow."""

from sluice.garbage import collect_rarely

collect_rarely()  # a flow run's process imports the flows first, then large libraries
