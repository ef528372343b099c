"""The hallucination check of one answer: claims, the verifier that reads them against evidence, its calibration."""
