"""The grammar of the networks that this project exports: what may stand in the JSON of a `.pt2` archive.

When torch loads an export, it evaluates strings in it: symbolic sizes with sympy, and guards as Python. So each key,
each operator and each string has a form here, and everything else is refused. The forms are those of torch's schema
(`torch/_export/serde/schema.py`) that exports of our networks use.
"""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sweeps.errors import InputError

# Only these: others read files (`from_file`), or run code (higher-order operators).
OPERATORS = (
    "__or__.Tensor",
    "abs.default",
    "addcmul.default",
    "amax.default",
    "any.dim",
    "bitwise_not.default",
    "cat.default",
    "div.Tensor",
    "elu.default",
    "gt.Scalar",
    "gt.Tensor",
    "isnan.default",
    "linear.default",
    "mean.dim",
    "mul.Tensor",
    "relu.default",
    "sigmoid.default",
    "slice.Tensor",
    "softmax.int",
    "sqrt.default",
    "square.default",
    "sub.Tensor",
    "sum.dim_IntList",
    "t.default",
    "tanh.default",
    "where.ScalarOther",
    "where.self",
)
_OPERATOR = "|".join(name.replace(".", r"\.") for name in OPERATORS)
_IN_SPEC = (
    '[1, {"type": "builtins.tuple", "context": "null", "children_spec": [{"type": "builtins.tuple", "context": "null", '
    '"children_spec": [{"type": null, "context": null, "children_spec": []}]}, {"type": "builtins.dict", "context": '
    '"[]", "children_spec": []}]}]'
)
_OUT_SPEC = '[1, {"type": null, "context": null, "children_spec": []}]'

Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\z", max_length=200)]
Path = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]*\z", max_length=200)]
Symbol = Annotated[str, Field(pattern=r"^s\d{1,9}\z")]
Target = Annotated[str, Field(pattern=rf"^torch\.ops\.aten\.(?:{_OPERATOR})\z")]
Expression = Annotated[str, Field(pattern=r"^Symbol\('s\d{1,9}', positive=True, integer=True\)\z")]
FileName = Annotated[str, Field(pattern=r"^(?:weight|tensor)_\d{1,6}\z")]
Version = Annotated[str, Field(pattern=r"^[0-9A-Za-z.+]{1,50}\z")]
# torch keeps these as text: where a node came from.
Origin = dict[Literal["stack_trace", "nn_module_stack", "torch_fn", "from_node"], str]
Nothing = Annotated[dict[Name, None] | list[None], Field(max_length=0)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Integer(_Form):
    as_int: int


class _Hinted(_Form):
    expr_str: Expression
    hint: _Integer | None


class _Expression(_Form):
    as_expr: _Hinted


Size = _Integer | _Expression


class _Device(_Form):
    type: Literal["cpu"]
    index: None


class _TensorMeta(_Form):
    dtype: int
    sizes: list[Size]
    requires_grad: bool
    device: _Device
    strides: list[Size]
    storage_offset: Size
    layout: int


class _Named(_Form):
    name: Name


class _Tensor(_Form):
    as_tensor: _Named


class _Tensors(_Form):
    as_tensors: list[_Named]


class _Float(_Form):
    as_float: float | Literal["NaN", "Infinity", "-Infinity"]


class _Integers(_Form):
    as_ints: list[int]


class _Boolean(_Form):
    as_bool: bool


class _Argument(_Form):
    name: Name
    arg: _Tensor | _Tensors | _Float | _Integer | _Integers | _Boolean
    kind: int


class _Node(_Form):
    target: Target
    inputs: list[_Argument]
    outputs: list[_Tensor]
    metadata: Origin
    is_hop_single_tensor_return: None
    name: Name


class _Graph(_Form):
    inputs: list[_Tensor]
    outputs: list[_Tensor]
    nodes: list[_Node]
    tensor_values: dict[Name, _TensorMeta]
    sym_int_values: Nothing
    sym_bool_values: Nothing
    is_single_tensor_return: Literal[False]
    custom_obj_values: Nothing
    sym_float_values: Nothing


class _ParameterOf(_Form):
    arg: _Named
    parameter_name: Path


class _Parameter(_Form):
    parameter: _ParameterOf


class _BufferOf(_Form):
    arg: _Named
    buffer_name: Path
    persistent: bool


class _Buffer(_Form):
    buffer: _BufferOf


class _UserArgument(_Form):
    arg: _Tensor


class _UserInput(_Form):
    user_input: _UserArgument


class _UserOutput(_Form):
    user_output: _UserArgument


class _Signature(_Form):
    input_specs: list[_Parameter | _Buffer | _UserInput]
    output_specs: list[_UserOutput]


class _CallSignature(_Form):
    inputs: Nothing
    outputs: Nothing
    in_spec: Literal[_IN_SPEC]  # type: ignore[valid-type]
    out_spec: Literal[_OUT_SPEC]  # type: ignore[valid-type]
    forward_arg_names: list[Name]


class _Call(_Form):
    fqn: Path
    signature: _CallSignature | None


class _GraphModule(_Form):
    graph: _Graph
    signature: _Signature
    module_call_graph: list[_Call]
    metadata: Nothing
    treespec_namedtuple_fields: Nothing


class _Program(_Form):
    graph_module: _GraphModule
    opset_version: dict[Literal["aten"], int]
    range_constraints: dict[Symbol, dict[Literal["min_val", "max_val"], int | None]]
    schema_version: dict[Literal["major", "minor"], int]
    verifiers: list[Literal["TRAINING"]]
    torch_version: Version
    guards_code: Nothing


class _Payload(_Form):
    path_name: FileName
    is_param: bool
    use_pickle: Literal[False]
    tensor_meta: _TensorMeta


class _Payloads(_Form):
    config: dict[Path, _Payload]


def check_program(content: bytes) -> None:
    """Raise InputError unless this is the JSON of a network that this project exports."""
    _check(_Program, content)


def check_payloads(content: bytes) -> None:
    """Raise InputError unless this is the JSON that lists the tensors of an export, none of them pickled."""
    _check(_Payloads, content)


def _check(form: type[_Form], content: bytes) -> None:
    """Check what `json.loads`, which torch uses, makes of the content: of a repeated key it takes the last."""
    try:
        plain: Any = json.loads(content)
        form.model_validate(plain)
    except (ValidationError, ValueError, RecursionError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else "its JSON"
        raise InputError(
            f"an exported network must be of the form that this release writes, and differs in {where[:200]}: promote "
            "the trial again, and if it fails again, report this as a bug with the sweep file"
        ) from None
