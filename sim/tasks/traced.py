"""A tensor computation as a flat list of operations."""

from collections.abc import Callable

from torch import Tensor
from torch._guards import TracingContext, tracing
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx


def traced(function: Callable[..., Tensor], *given: Tensor) -> GraphModule:
    """The operations of `function(*given)`, for tensors of these shapes.

    torch describes the result of every operation by a tensor without values. It finds the mode for them in the context,
    and would otherwise make one for each operation, which takes longer than the tracing itself.
    """
    with tracing(TracingContext(FakeTensorMode(allow_fallback_kernels=True))):
        return make_fx(function)(*given)
