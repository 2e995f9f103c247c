"""Writes docs/reference/constraints.md from the table of constraints; prints it with --stdout."""

import json
import re
import sys
from pathlib import Path

import yaml

from passgate.core.constraints import CONSTRAINTS
from passgate.core.constraints.base import Constraint

PAGE = Path(__file__).parents[1] / "reference" / "constraints.md"

HEAD = """\
# Constraints

A constraint is `key: value` in a passport (for all its actions, or for one permission), in a
catalog entry, for an issuer, or in the gate's own configuration. All of them are owed: whichever is
strictest decides.

This page is made from the table in `passgate.core.constraints`.

**Order.** Constraints are evaluated by their number. The first that refuses ends it; one that holds
is remembered, and evaluation goes on: a refusal beats a hold, and a hold beats passing. Counters
are taken from last and all together, so a refused request counts nowhere.

**Unknown keys refuse** the request with `constraint_unknown`. A value of the wrong kind is an error
of the configuration or the catalog, and makes a passport `passport_malformed`.

**Reason codes.** `constraint_violated` (403) with `constraint` naming the key; `rate_limited` (429)
for rates and totals, `concurrency_limited` (429), `budget_exhausted` (403) for costs, and
`approval_required` (403) for what is held.

**Merging.** Constraints of one subject become one, as each section says; those of different
subjects each hold on their own.

**Bodies.** Where a constraint looks into the body, it is read whole before the decision, on any route
and for whoever owes it: 413 above `limits.judged_body_bytes`, 415 for what is not JSON in UTF-8.

**Subjects.** A passport's constraint counts this passport, and a permission entry's counts this
passport for this entry. The catalog's counts the agent for the action. An issuer's and the gate's
count the agent, so that a new passport resets nothing. Without a passport the client's address is
counted, IPv6 by /64.

**Time** is UTC unless a value names a zone. **Money** is in minor units (cents), always whole.

**Other names** stand for rows of this table and are owed beside them: `max_per_action_cost`,
`max_daily_cost`, `max_total_cost` (`core:cost:max_cumulative` by day and in all),
`rate_limit_per_minute`, `rate_limit_per_hour`, `allowed_domains`, `allowed_paths`, `allowed_models`
and `operating_hours`. In a catalog and in the gate's own constraints also the guardrail object, its
members alone or below `guardrails`: `rate_limits` (`requests_per_minute`, `_hour`, `_day`,
`concurrent_requests`), `spend_limits` (`per_transaction_usd`, `daily_usd`, `monthly_usd`,
`require_approval_above_usd` as decimals, which are read exactly, and `currency`, else `USD`),
`domain_controls` (`allowed_domains`, `blocked_domains`), `pii_controls` (`mode`) and
`enforce_permission_scope`, which can only be true. What stands for no row refuses.

**Action patterns.** `a:b` is one action, `a:*` every action below `a`, `*` every action. A star
anywhere else is an error.
"""


class _Yaml(yaml.SafeDumper):
    """Keys bare, and every value in quotation marks that is more than a word."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    bare = re.fullmatch(r"[A-Za-z][A-Za-z_/-]*|core:.*", text)
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if bare else '"')


_Yaml.add_representer(str, _text)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, _overview(), *map(_section, CONSTRAINTS.values())])


def _overview() -> str:
    rows = [
        f"| {row.order} | [`{row.key}`](#{row.key.replace(':', '')}) | {_effect(row)} |"
        for row in CONSTRAINTS.values()
    ]
    return "\n".join(["| # | key | effect |", "|---|---|---|", *rows, ""])


def _effect(row: Constraint) -> str:
    if row.charge is not None:
        return "counts"
    if row.parameter_of:
        return f"parameter of `{row.parameter_of}`"
    if row.judge is None and row.watch is None and not row.bounds:
        return "term"
    return "holds" if row.refuses.startswith("holds") else "refuses"


def _section(row: Constraint) -> str:
    # A parameter means something beside its owner only, so the example shows both.
    owner = {row.parameter_of: CONSTRAINTS[row.parameter_of].example} if row.parameter_of else {}
    example = {**owner, row.key: row.example}
    counted = "- **Counts:** the subject of its origin, see above.\n" if row.charge else ""
    note = f"\n{row.note}\n" if row.note else ""
    written = yaml.dump(example, Dumper=_Yaml, default_flow_style=False, sort_keys=False).rstrip()
    return f"""\
## `{row.key}`

- **Number:** {row.order}
- **Value:** {row.value}
- **Refuses when:** {row.refuses}
{counted}- **Merging:** {row.merging}
{note}
```yaml
{written}
```

```json
{json.dumps(example)}
```
"""


if __name__ == "__main__":
    if "--stdout" in sys.argv:
        print(page(), end="")
    else:
        PAGE.write_text(page())
