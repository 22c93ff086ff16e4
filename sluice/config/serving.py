"""The form in which a released model serves."""

from typing import Literal

Serving = Literal["auto", "onnx", "sklearn"]
"""`onnx`: float64 preprocessing and the estimator in ONNX; where that does not answer as the
trained model does, the release halts. `auto`: the same, but the trained form serves in its place.
`sklearn`: the trained form, by choice."""
