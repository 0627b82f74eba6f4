"""A thing to touch as HTML: its kind, its data, and a sentence for wherever no script runs."""

import json
from dataclasses import dataclass
from html import escape
from typing import Any

HOLDER = (
    '<div class="touch" id="{kind}" data-kind="{kind}" role="group" aria-label="{label}">'
    '<script type="application/json">{data}</script><p class="touch-plain">{plain}</p></div>'
)
ELSEWHERE = "The controls work in the built book, without a kernel."


@dataclass(frozen=True)
class Widget:
    """A thing to touch: `kind` is a function of `book/_ext/touch`, `data` what it is given, `label` names it."""

    kind: str
    label: str
    data: dict[str, Any]

    def _repr_html_(self) -> str:
        """Return the holder that `start.js` brings to life. No `<` stays in the data: `</script>` would end it."""
        data = json.dumps(self.data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
        plain = f"{escape(self.label)}. {ELSEWHERE}"
        return HOLDER.format(kind=self.kind, label=escape(self.label), data=data, plain=plain)
