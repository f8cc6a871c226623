"""Trace a network with torch.fx, and list the modules before which it can be cut."""

import difflib
from typing import cast

import torch
from timm.layers import get_notrace_functions, is_notrace_module
from torch import fx, nn

from wen.errors import WenError
from wen.network.untraced import KEY


class Traced:
    """The calls of one method of a network, in order, traced with torch.fx.

    Only the modules that contain ``name`` are traced into. All others are leaves, which run their original code in
    training and in inference. An index ``at`` denotes the cut before node ``at``.
    """

    def __init__(self, network: nn.Module, method: str, name: str) -> None:
        self.root = _Method(network, method)
        names = name.split(".")
        parents = {".".join(names[:depth]) for depth in range(1, len(names))}
        mode_before = network.training
        try:
            graphs = [_Tracer(parents).trace(self.root.train(mode)) for mode in (True, False)]
        except Exception as error:  # torch.fx raises many types, and timm's code may raise any on a proxy
            raise WenError(
                f"{KEY}: {name}: {type(network).__name__} cannot be traced that deep: "
                f"{' '.join(str(error).split())[:200]}" + (f"; {suggestion(network, name)}" if "." in name else "")
            ) from None
        finally:
            network.train(mode_before)
        for graph in graphs:
            _use_current_mode(graph)
        if str(graphs[0]) != str(graphs[1]):
            raise WenError(
                f"{KEY}: {name}: this part runs differently in training and inference; choose another module"
            )
        *self.nodes, self.output = graphs[0].nodes
        self.end = len(self.nodes)

    def find(self, name: str) -> int | None:
        """Index of the first node that calls the module; None if there is none."""
        calls = (at for at, node in enumerate(self.nodes) if node.op == "call_module" and path_of(node) == name)
        return next(calls, None)

    def is_legal(self, at: int) -> bool:
        """Whether exactly one tensor crosses the cut and no weight is used on both sides of it."""
        before, after = (set(map(id, self._weights(part))) for part in (self.nodes[:at], self.nodes[at:]))
        return len(self.crossing(at)) == 1 and not before & after

    def legal_cuts(self) -> list[int]:
        """Indices of the modules with weights before which the network can be cut."""
        return [at for at in range(self.end) if self.has_weights(at) and self.is_legal(at)]

    def has_weights(self, at: int) -> bool:
        """Whether the node calls a module that has weights."""
        return self.nodes[at].op == "call_module" and bool(self._weights(self.nodes[at : at + 1]))

    def extract(self, begin: int, end: int) -> fx.GraphModule:
        """Return the nodes between two cuts as a module, which shares the network's modules."""
        (entry,) = self.crossing(begin) if begin else self.nodes[:1]
        (exit_,) = self.crossing(end)
        nodes = [node for node in self.nodes[max(begin, 1) : end] if node.op != "get_attr"]
        users = {*nodes, exit_}
        graph = fx.Graph()
        copies = {entry: graph.placeholder("values")}
        for node in self.nodes:
            if node in users - {entry} or (node.op == "get_attr" and users & set(node.users)):
                copies[node] = graph.node_copy(node, copies.__getitem__)
        graph.output(copies[exit_])
        return fx.GraphModule(self.root, graph)

    def crossing(self, at: int) -> list[fx.Node]:
        """Nodes before the cut whose values are used after it."""
        after = {*self.nodes[at:], self.output}
        return [node for node in self.nodes[:at] if node.op != "get_attr" and after & set(node.users)]

    def _weights(self, nodes: list[fx.Node]) -> list[nn.Parameter]:
        called = [self.root.get_submodule(cast(str, node.target)) for node in nodes if node.op == "call_module"]
        used = {entry.target for node in nodes for entry in node.all_input_nodes if entry.op == "get_attr"}
        return [weight for module in called for weight in module.parameters()] + [
            weight for name, weight in self.root.named_parameters() if name in used
        ]


class _Method(nn.Module):
    """Wrap one method of a network as a module; all arguments but the first keep their defaults."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(self.network, self.method)(values)
        return result


class _Tracer(fx.Tracer):
    """Tracer that descends only into the modules named in ``parents``."""

    def __init__(self, parents: set[str]) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))
        self.parents = parents

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_notrace_module(type(m)) or module_qualified_name.removeprefix("network.") not in self.parents


def path_of(node: fx.Node) -> str:
    """Name of the module that a node calls."""
    return str(node.target).removeprefix("network.")


def _use_current_mode(graph: fx.Graph) -> None:
    """Make ``dropout(..., training=self.training)`` read the mode at each call instead of the mode while tracing."""
    for node in graph.nodes:
        if "training" in node.kwargs:
            with graph.inserting_before(node):
                mode = graph.create_node("get_attr", "training", name="training")
            node.update_kwarg("training", mode)


def nearest_cuts(graph: Traced, name: str, at: int) -> str:
    """Name the nearest legal cuts before and after a node."""
    legal = graph.legal_cuts()
    nearest = [max((k for k in legal if k < at), default=None), min((k for k in legal if k > at), default=None)]
    modules = [path_of(graph.nodes[k]) for k in nearest if k is not None]
    return f"possible: before {' and before '.join(modules)}" if modules else suggestion(graph.root.network, name)


def suggestion(network: nn.Module, name: str) -> str:
    """Suggest module names that resemble ``name``, and the modules before which the network can be cut."""
    near = difflib.get_close_matches(name, [path for path, _ in network.named_modules() if path], n=3)
    meant = f"did you mean {', '.join(near)}? " if near else ""
    legal = ", ".join(cut_points(network))
    return f"{meant}it can be trained from {legal} on, or from a module inside one of them; auto trains the last stage"


def cut_points(network: nn.Module) -> list[str]:
    """Modules before which the network can be cut: its children, or the children of its only such child."""
    legal = _cut_points_in(network, "")
    return _cut_points_in(network, f"{legal[0]}.") or legal if len(legal) == 1 else legal


def _cut_points_in(network: nn.Module, parent: str) -> list[str]:
    graph = Traced(network, "forward_features", parent)
    return [path_of(graph.nodes[at]) for at in graph.legal_cuts()]
