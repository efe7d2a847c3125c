"""Merges decoders in optimum's way."""
import onnx
from onnx import TensorProto, helper


def branch(graph, prefix, shared, outputs):
    """A graph as a branch of an If: its inputs are those around it."""
    rename = lambda n: n if n in shared or not n else prefix + n
    for node in graph.node:
        node.input[:], node.output[:] = map(rename, node.input), map(rename, node.output)
        node.name = prefix + node.name
    for t in graph.initializer:
        t.name = rename(t.name)
    have = [o.name for o in graph.output]
    for o in outputs:
        if o.name not in have:  # the memory of the encoder stays as it was
            dims = [0 if d.dim_param else d.dim_value for d in o.type.tensor_type.shape.dim]
            graph.node.append(helper.make_node("Constant", [], [prefix + o.name], value=helper.make_tensor("", TensorProto.FLOAT, dims, [])))
    ends = [helper.make_tensor_value_info(prefix + o.name, TensorProto.FLOAT, None) for o in outputs]
    return helper.make_graph(list(graph.node), prefix + "branch", [], ends, list(graph.initializer))


def merge(first, following, path):
    """Both decoders in one file, that is told which by use_cache_branch."""
    a, b = onnx.load(first), onnx.load(following)
    inputs = {i.name: i for g in (a.graph, b.graph) for i in g.input}
    outputs = list(a.graph.output)
    cond = helper.make_node("If", ["use_cache_branch"], [o.name for o in outputs], then_branch=branch(b.graph, "with_", set(inputs), outputs),
                            else_branch=branch(a.graph, "without_", set(inputs), outputs))
    given = list(inputs.values()) + [helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])]
    model = helper.make_model(helper.make_graph([cond], "merged", given, outputs), opset_imports=a.opset_import, ir_version=a.ir_version)
    onnx.checker.check_model(model)
    onnx.save(model, path)
