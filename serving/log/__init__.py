"""The log of a gateway: records, spool, counters, and the log-writer that ships them."""
