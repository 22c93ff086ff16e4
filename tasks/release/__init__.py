"""Steps of a release, from its data version to a registered model."""
