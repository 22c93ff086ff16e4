"""How well a version performs in live traffic: measured on labels, or estimated without them."""
