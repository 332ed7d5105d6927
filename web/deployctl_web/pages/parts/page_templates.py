"""The environment that compiles the pages' templates. Output is what Jinja's own compiler produces, in less time.

Half the time of a page was spent in Jinja's generality: three calls for each value, each piece passed through every
template that includes another, and checks before each macro call.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from flask.templating import Environment
from jinja2 import Template
from jinja2.compiler import CodeGenerator
from jinja2.runtime import Context, Macro
from markupsafe import Markup, escape

from deployctl.domain.inputs.plain_text import ACTING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from jinja2 import nodes
    from jinja2.compiler import Frame
    from jinja2.environment import TemplateModule

    Render = Callable[[Context], Iterator[str]]

# Finds anything but printable ASCII that HTML takes as it is. Most names, times and figures contain nothing else.
_find_special = re.compile(r"[^ !#-%(-;=?-~]").search


def visible(value: object) -> object:
    """Return text with control and formatting characters escaped: notes, names and logs come from anybody."""
    if not isinstance(value, str) or value.isprintable():  # none of these characters is printable: most text is done here
        return value
    if hasattr(value, "__html__"):  # created by us, from parts that went through here
        return value
    return ACTING.sub(lambda found: chr(0x2400 + ord(found[0])) if found[0] < " " else "\ufffd", value)


def shown(value: object) -> str:
    """Return the value as a page contains it: visible, and escaped unless it is HTML of ours."""
    if type(value) is str and _find_special(value) is None:
        return value
    return value if type(value) is Markup else escape(visible(value))


class _Compiler(CodeGenerator):
    """Compiles an output to one call, where Jinja writes `escape(environment.finalize(…))`."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if self._escapes(frame):
            self.write("environment.shown(")
        else:
            super()._output_child_pre(node, frame, finalize)

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if self._escapes(frame):
            self.write(")")
        else:
            super()._output_child_post(node, frame, finalize)

    def _escapes(self, frame: Frame) -> bool:
        return bool(frame.eval_ctx.autoescape and not frame.eval_ctx.volatile)


class _Context(Context):
    """Calls macros directly."""

    def call(__self, __obj: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: N805  the base class's signature
        if type(__obj) is not Macro:
            return super().call(__obj, *args, **kwargs)
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return __obj(__self.eval_ctx, *args, **kwargs)


class _JoinedTemplate(Template):
    """Passes its output on in one piece."""

    @classmethod
    def _from_namespace(cls, environment: Any, namespace: MutableMapping[str, Any],
                        globals: MutableMapping[str, Any]) -> Template:  # noqa: A002  the base class's signature
        made = super()._from_namespace(environment, namespace, globals)
        made.root_render_func = _joined(made.root_render_func)
        return made

    def _get_default_module(self, ctx: Context | None = None) -> TemplateModule:
        """Return its macros. Jinja checks each time whether `ctx` has globals of its own: here all templates share them."""
        if self._module is None:
            self._module = self.make_module()
        return self._module


def _joined(render: Render) -> Render:
    def joined(context: Context) -> Iterator[str]:
        yield "".join(render(context))

    return joined


class PageEnvironment(Environment):
    """Compiles templates without their indentation: that is for their authors, and a fifth of a page's bytes."""

    code_generator_class = _Compiler
    context_class = _Context
    template_class = _JoinedTemplate
    shown = staticmethod(shown)

    def preprocess(self, source: str, name: str | None = None, filename: str | None = None) -> str:
        return re.sub(r"\n +", "\n", super().preprocess(source, name, filename))
