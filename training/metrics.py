"""How good a completion or a line drawing is, in numbers."""

from torch import Tensor


def psnr(real: Tensor, fake: Tensor) -> Tensor:
    """Peak signal-to-noise ratio, -10 log10(E[(x - x')^2]), over the whole batch.

    Args:
        real, fake (`torch.Tensor`): the same shape, in [0,1].

    Returns:
        A scalar in decibels; infinite for equal pictures.
    """
    return -10 * (real - fake).square().mean().log10()


def edge_precision_recall(edges: Tensor, pred_edges: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Precision and recall of the lines drawn in the hole; a pixel is a line above 0.5.

    Args:
        edges, pred_edges, mask (`torch.Tensor`): `[N,1,H,W]` in [0,1]; 1 in the mask marks the hole.

    Returns:
        Two scalars in [0,1]. A share of nothing (no line drawn, no line to draw) counts as 0.
    """
    true, drawn = ((lines > 0.5) & (mask > 0.5) for lines in (edges, pred_edges))
    hits = (true & drawn).sum()
    return hits / drawn.sum().clamp(min=1), hits / true.sum().clamp(min=1)
