"""The form in which a model serves: no pandas, no scikit-learn, no pickle on the way."""
