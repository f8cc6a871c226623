"""What a network calls, in order, as torch.fx traces it; and the modules that it can be cut before."""

import difflib
from typing import cast

import torch
from timm.layers import get_notrace_functions, is_notrace_module
from torch import fx, nn

from wen.errors import WenError
from wen.network.untraced import KEY


class Traced:
    """What one of a network's methods calls, in order; no module is looked into but those that ``name`` is in.

    So the modules' own code runs as it is, in training and in inference.
    """

    def __init__(self, network: nn.Module, method: str, name: str) -> None:
        self.root = _Method(network, method)
        parents = name.split(".")
        inner = {".".join(parents[:depth]) for depth in range(1, len(parents))}
        was = network.training
        try:
            graphs = [_Tracer(inner).trace(self.root.train(mode)) for mode in (True, False)]
        except Exception as error:  # torch.fx raises many kinds, and timm's code may raise any on a proxy
            raise WenError(
                f"{KEY}: {name}: {type(network).__name__} cannot be traced that deep: "
                f"{' '.join(str(error).split())[:200]}" + (f"; {offer(network, name)}" if "." in name else "")
            ) from None
        finally:
            network.train(was)
        for graph in graphs:
            _follow_training(graph)
        if str(graphs[0]) != str(graphs[1]):
            raise WenError(
                f"{KEY}: {name}: this part runs differently in training and inference; choose another module"
            )
        *self.nodes, self.output = graphs[0].nodes
        self.end = len(self.nodes)

    def before(self, name: str) -> int | None:
        """The first place that calls the module; None if none does."""
        calls = (at for at, node in enumerate(self.nodes) if node.op == "call_module" and path_of(node) == name)
        return next(calls, None)

    def is_legal(self, at: int) -> bool:
        """Whether one value crosses there, and no weight is used on both sides."""
        before, after = (set(map(id, self._weights(part))) for part in (self.nodes[:at], self.nodes[at:]))
        return len(self.crossing(at)) == 1 and not before & after

    def places(self) -> list[int]:
        """Where the network can be cut before a module that has weights."""
        return [at for at in range(self.end) if self.has_weights(at) and self.is_legal(at)]

    def has_weights(self, at: int) -> bool:
        """Whether a module that has any is called there."""
        return self.nodes[at].op == "call_module" and bool(self._weights(self.nodes[at : at + 1]))

    def part(self, begin: int, end: int) -> fx.GraphModule:
        """All between two places as a module, of the network's own modules."""
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
        """The values that are made before a place and used behind it."""
        after = {*self.nodes[at:], self.output}
        return [node for node in self.nodes[:at] if node.op != "get_attr" and after & set(node.users)]

    def _weights(self, nodes: list[fx.Node]) -> list[nn.Parameter]:
        called = [self.root.get_submodule(cast(str, node.target)) for node in nodes if node.op == "call_module"]
        used = {entry.target for node in nodes for entry in node.all_input_nodes if entry.op == "get_attr"}
        return [weight for module in called for weight in module.parameters()] + [
            weight for name, weight in self.root.named_parameters() if name in used
        ]


class _Method(nn.Module):
    """A method of a network as a module of its own, with every other argument at its default."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network, self.method = network, method

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(self.network, self.method)(values)
        return result


class _Tracer(fx.Tracer):
    def __init__(self, inner: set[str]) -> None:
        super().__init__(autowrap_functions=tuple(get_notrace_functions()))
        self.inner = inner

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_notrace_module(type(m)) or module_qualified_name.removeprefix("network.") not in self.inner


def path_of(node: fx.Node) -> str:
    """The module that a node calls, by its name in the network."""
    return str(node.target).removeprefix("network.")


def _follow_training(graph: fx.Graph) -> None:
    """Let ``dropout(..., training=self.training)`` ask for the mode when it is called, not when it was traced."""
    for node in graph.nodes:
        if "training" in node.kwargs:
            with graph.inserting_before(node):
                mode = graph.create_node("get_attr", "training", name="training")
            node.update_kwarg("training", mode)


def near(graph: Traced, name: str, at: int) -> str:
    """Name the nearest places where one tensor crosses, before and behind."""
    legal = graph.places()
    nearest = [max((k for k in legal if k < at), default=None), min((k for k in legal if k > at), default=None)]
    places = [path_of(graph.nodes[k]) for k in nearest if k is not None]
    return f"possible: before {' and before '.join(places)}" if places else offer(graph.root.network, name)


def offer(network: nn.Module, name: str) -> str:
    """Name near matches, and the modules that can be cut before."""
    near = difflib.get_close_matches(name, [path for path, _ in network.named_modules() if path], n=3)
    meant = f"did you mean {', '.join(near)}? " if near else ""
    legal = ", ".join(cuttable(network))
    return f"{meant}it can be trained from {legal} on, or from a module inside one of them; auto trains the last stage"


def cuttable(network: nn.Module) -> list[str]:
    """The modules that can be cut before: the network's, or those inside it if there is but one."""
    legal = _cuttable_in(network, "")
    return _cuttable_in(network, f"{legal[0]}.") or legal if len(legal) == 1 else legal


def _cuttable_in(network: nn.Module, inside: str) -> list[str]:
    graph = Traced(network, "forward_features", inside)
    return [path_of(graph.nodes[at]) for at in graph.places()]
