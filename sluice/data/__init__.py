"""What data is: its versions, schema, split, and what may leak."""
