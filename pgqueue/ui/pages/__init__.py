"""The pages, a module each; `ENTRIES` below is the one table of what there is.

A page is a function from a `Visit` to a response, its template in `templates/NAME.html` and its statements in `sql/`:

    async def queues(visit: Visit) -> Response:
        rows = await visit.shared_rows("queues")                       # sql/queues.sql, in the visitor's database role
        return visit.page("queues.html", live="_queues.html", rows=rows)

    async def pause(visit: Visit) -> Response:
        queue = visit.path("queue")
        async with visit.change("queue.pause", f"queue {queue}") as change:      # one transaction with its audit line
            change.detail["changed"] = await change.call(calls.pause(queue))     # counts and ids, never payloads
        return visit.done(f"Queue {queue} is paused.", to=back_of(visit, visit.url("/queues")))

    ENTRIES = (
        Page("/queues", queues, nav="Queues"),
        Action("/queues/{queue}/pause", pause, role=Role.OPERATOR),    # deletes and limits: Role.ADMIN
    )

and one line in the table below. Then tests/ui/routes.py gets a line for every Page (with what it needs to be filled),
and the browser tests, the screenshots and the tests of the doors look at it from then on.

- **Reads.** `visit.rows`, or `async with visit.reading() as read` for several statements at one moment (`read.now` is
  the database's clock). Read-only, 5 s at most, in the visitor's role; `own_role=True` for statements on tables
  instead of views, which viewers may not read. Columns called args, meta, result, error, message, traceback, logs,
  lines, steps are masked by rule, and null for who may not see them (`read.sees_contents`); so name them like that,
  and filter by contents only when `read.sees_contents`. SQL is constant text with %(name)s; null for "no filter".
- **Cost.** Anything that refreshes goes through `visit.shared_rows`: ten open pages, one query a second. Page by keyset
  (`before=` the last id), ask for one row more than is shown to know whether there is an older page, never count.
- **Input.** `visit.path`, `visit.id`, `visit.number`, `visit.query` check lengths and numbers; what is wrong raises
  InvalidArgument, which becomes a page with status 400. Errors of the SQL functions become pages with 404 or 409.
- **Templates.** They extend base.html (blocks title, main, scripts, styles) and import macros.html `with context`:
  `live` (a part that is asked for again; the same handler then renders the `live=` template alone), `button` (a POST
  form), `pager`, `field`, `choice`, `hidden`. Filters: `ago(now)`, `when`, `span`, `count(estimated=)`, `rate`,
  `badge`, `payload`, `sparkline(label)`, `error_line`. Everything is escaped; never `|safe`, no `style=`, no
  `on...=`, no inline script: the policy forbids them. Widths of bars: `<meter>`, `<progress>` or SVG attributes.
  Addresses: `visit.url` and `visit.here` only, since we may be mounted anywhere. A table stands in `<div
  class="scroll" tabindex="0" role="region" aria-label="...">`, its first cell is `<th scope="row">`. Buttons that say
  the same carry a `label`.
- **Confirmation.** Where many things change or something is lost: link to a Page that counts and answers with
  `visit.confirm(...)`, whose button posts to the Action. The Action compares `visit.number("expected")` with what it
  does.
- What only some may do: `{% if visit.may("operator") %}` hides the button, `role=` on the Action refuses the request.
"""

from pgqueue.ui.pages import audit, dead, flows, job, jobs, limits, overview, queues, schedules, workers
from pgqueue.ui.routing import Entry

ENTRIES: tuple[Entry, ...] = (
    *overview.ENTRIES,
    *queues.ENTRIES,
    *jobs.ENTRIES,
    *job.ENTRIES,
    *dead.ENTRIES,
    *flows.ENTRIES,
    *schedules.ENTRIES,
    *workers.ENTRIES,
    *limits.ENTRIES,
    *audit.ENTRIES,
)
