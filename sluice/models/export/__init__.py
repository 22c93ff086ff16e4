"""The ONNX export of a model: it serves without pandas, scikit-learn and pickle."""
