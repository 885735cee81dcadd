"""The pictures of the experiments. Each function writes a PNG and an SVG."""

from supcon_tf._requirements import require_extra

with require_extra("experiments.pictures", "matplotlib and scikit-learn"):
    from experiments.pictures.curves import curves
    from experiments.pictures.embedding_maps import embedding_maps
    from experiments.pictures.learning_curves import learning_curves
    from experiments.pictures.loss_costs import loss_costs
    from experiments.pictures.nearest_neighbors import nearest_neighbors
    from experiments.pictures.reliability_diagrams import reliability_diagrams
    from experiments.pictures.robustness_curves import robustness_curves
    from experiments.pictures.similarity_histograms import similarity_histograms

__all__ = [
    "curves",
    "embedding_maps",
    "learning_curves",
    "loss_costs",
    "nearest_neighbors",
    "reliability_diagrams",
    "robustness_curves",
    "similarity_histograms",
]
