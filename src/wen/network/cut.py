"""The network cut in two: a trunk that never changes, and a tail that is trained."""

import difflib
from dataclasses import dataclass
from typing import cast

import torch
from timm.layers import get_notrace_functions, is_notrace_module
from torch import fx, nn

from wen.errors import WenError
from wen.network.backbone import head_name
from wen.network.device import autocast
from wen.network.untraced import KEY, Pooling, Untraced, place


@dataclass(frozen=True)
class Cut:
    """One network's modules, shared and not copied: head(pool(top(trunk(images))))."""

    trunk: "Convolutions"
    """Images to the activations at the cut."""
    top: "Convolutions"
    """Activations at the cut to the last feature map, as timm's ``forward_features`` ends."""
    pool: nn.Module
    """Feature map to pooled features, in float32: timm's ``forward_head`` up to the classifier."""
    head: nn.Linear
    """Pooled features to one logit, in float32."""
    unfreeze_from: str
    """The module that it is cut before."""
    channels: int
    """The map's dimension of channels."""
    is_traced: bool = True
    """False where the network cannot be traced: then the trunk passes images on, and all else is in ``top``."""

    @property
    def tail(self) -> nn.Sequential:
        """What stage 2 trains: activations at the cut to one logit."""
        return nn.Sequential(self.top, self.pool, self.head)


class Convolutions(nn.Sequential):
    """The part of a network that takes the time: all that is ever computed in a half type.

    What comes out is float32, so pooling, head and loss behind it are float32 too: there it costs nothing, and a
    logit of bfloat16 would have 8 bits.

    Parameters
    ----------
    *modules : Module
    dtype : torch.dtype
        What they compute in, under autocast if that is a half type.
    """

    def __init__(self, *modules: nn.Module, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(*modules)
        self.dtype = dtype

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        with autocast(values.device, self.dtype):
            maps: torch.Tensor = super().forward(values)
        return maps.float()


def cut(network: nn.Module, unfreeze_from: str, dtype: torch.dtype = torch.float32) -> Cut:
    """Cut before a module: it and all that runs after it are trained, what runs before it is frozen.

    A network that cannot be traced stays in one piece, see `wen.network.untraced.Untraced`.

    Parameters
    ----------
    network : Module
        Of timm, as `wen.network.backbone.build` makes it.
    unfreeze_from : str
        The name of a module, as ``layer4`` or ``blocks.5``; ``auto`` is the last stage that has parameters. A module
        of timm's ``forward_head``, or the classifier, leaves all feature maps frozen.
    dtype : torch.dtype
        What all before the pooling computes in.

    Raises
    ------
    WenError
        If there is no such module, or several tensors cross before it.
    """
    channels = -1 if getattr(network, "output_fmt", "NCHW") == "NHWC" else 1
    if not is_traceable(network):
        name, classifier = place(network, unfreeze_from), cast(nn.Linear, network.get_submodule(head_name(network)))
        top = Convolutions(Untraced(network, name), dtype=dtype)
        return Cut(Convolutions(dtype=dtype), top, Pooling(network), classifier, name, channels, is_traced=False)
    name = _last_stage(network) if unfreeze_from == "auto" else unfreeze_from
    if not any(name == path for path, _ in network.named_modules() if path):
        raise WenError(f"{KEY}: {name}: the network has no such module; {_offer(network, name)}")
    features, head = _Graph(network, "forward_features", name), _Graph(network, "forward_head", head_name(network))
    at = features.before(name)
    if at is None:
        _check_in_head(network, name)
        at = features.end
    elif not features.is_legal(at):
        raise WenError(
            f"{KEY}: {name}: several tensors pass between the modules before and after it, but only one may; "
            f"{_near(features, name, at)}"
        )
    pooled = head.before(head_name(network))
    if pooled is None:
        raise WenError(
            f"backbone.name: {type(network).__name__} never calls its classifier, {head_name(network)}; choose "
            "another network"
        )
    if len(head.crossing(pooled)) > 1:
        raise WenError(
            f"backbone.name: {type(network).__name__} has other classifiers than {head_name(network)}; choose "
            "another network"
        )
    return Cut(
        trunk=Convolutions(features.part(0, at), dtype=dtype),
        top=Convolutions(features.part(at, features.end), dtype=dtype),
        pool=nn.Sequential(head.part(0, pooled), nn.Flatten()),
        head=cast(nn.Linear, network.get_submodule(head_name(network))),
        unfreeze_from=name,
        channels=channels,
    )


def is_traceable(network: nn.Module) -> bool:
    """Whether torch.fx can follow what the network calls, and one tensor crosses at more places than one."""
    try:
        _Graph(network, "forward_head", "")
        return len(_cuttable(network)) > 1
    except WenError:
        return False


class _Graph:
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
                f"{' '.join(str(error).split())[:200]}" + (f"; {_offer(network, name)}" if "." in name else "")
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
        calls = (at for at, node in enumerate(self.nodes) if node.op == "call_module" and _path(node) == name)
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


def _path(node: fx.Node) -> str:
    return str(node.target).removeprefix("network.")


def _follow_training(graph: fx.Graph) -> None:
    """Let ``dropout(..., training=self.training)`` ask for the mode when it is called, not when it was traced."""
    for node in graph.nodes:
        if "training" in node.kwargs:
            with graph.inserting_before(node):
                mode = graph.create_node("get_attr", "training", name="training")
            node.update_kwarg("training", mode)


def _last_stage(network: nn.Module) -> str:
    """The first module behind the last but one of timm's stages that can be cut before, with parameters after it."""
    for stage in reversed([info["module"] for info in getattr(network, "feature_info", [])][:-1]):
        graph = _Graph(network, "forward_features", stage)
        end = graph.before(stage)
        behind = [at for at in graph.places() if end is not None and at > end]
        if behind:
            return _path(graph.nodes[behind[0]])
    raise WenError(f"{KEY}: auto: timm names no stages of {type(network).__name__}; {_offer(network, '')}")


def _check_in_head(network: nn.Module, name: str) -> None:
    """Refuse a module that never runs, or one of the head behind others that would be trained, too."""
    graph = _Graph(network, "forward_head", name)
    at = graph.before(name)
    if at is None:
        raise WenError(f"{KEY}: {name}: the network never calls this module; {_offer(network, name)}")
    earlier = [_path(node) for k, node in enumerate(graph.nodes[:at]) if graph.has_weights(k)]
    if earlier:
        raise WenError(f"{KEY}: {name}: runs after {earlier[0]}, where the head begins; write {earlier[0]}")


def _near(graph: _Graph, name: str, at: int) -> str:
    """Name the nearest places where one tensor crosses, before and behind."""
    legal = graph.places()
    nearest = [max((k for k in legal if k < at), default=None), min((k for k in legal if k > at), default=None)]
    places = [_path(graph.nodes[k]) for k in nearest if k is not None]
    return f"possible: before {' and before '.join(places)}" if places else _offer(graph.root.network, name)


def _offer(network: nn.Module, name: str) -> str:
    """Name near matches, and the modules that can be cut before."""
    near = difflib.get_close_matches(name, [path for path, _ in network.named_modules() if path], n=3)
    meant = f"did you mean {', '.join(near)}? " if near else ""
    legal = ", ".join(_cuttable(network))
    return f"{meant}it can be trained from {legal} on, or from a module inside one of them; auto trains the last stage"


def _cuttable(network: nn.Module) -> list[str]:
    """The modules that can be cut before: the network's, or those inside it if there is but one."""
    legal = _cuttable_in(network, "")
    return _cuttable_in(network, f"{legal[0]}.") or legal if len(legal) == 1 else legal


def _cuttable_in(network: nn.Module, inside: str) -> list[str]:
    graph = _Graph(network, "forward_features", inside)
    return [_path(graph.nodes[at]) for at in graph.places()]
