"""Training of the reranker: searched questions, the cross-encoder, the logistic function over it, and the package."""
