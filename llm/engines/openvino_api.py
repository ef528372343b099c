"""OpenVINO, imported so that it reports nothing to anybody.

Its package brings `openvino_telemetry` along, which tells Intel of uses of the conversion tools unless a person forbids
it. Where that module cannot be imported OpenVINO takes a stub of its own; here it never can be.
"""

import sys

sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]

import openvino as ov  # noqa: E402
import openvino.opset13 as ops  # noqa: E402
from openvino import Node, PartialShape, Type  # noqa: E402
from openvino._offline_transformations import paged_attention_transformation  # noqa: E402

__all__ = ["Node", "PartialShape", "Type", "ops", "ov", "paged_attention_transformation"]
