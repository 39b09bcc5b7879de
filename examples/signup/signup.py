"""A sign-up page. The account and the job that mails its link are one transaction: never one without the other.

python signup.py          the page, on http://127.0.0.1:8000
pgq work signup:app       the worker
"""

import os
import secrets
import smtplib
from collections.abc import Callable, Iterable
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs
from wsgiref.simple_server import make_server

import psycopg

from pgqueue import App, Cancel, Discard, Exponential

PAGE = "<form method=post action=/>E-mail: <input name=email type=email required> <button>Sign up</button></form>"
ADDRESS = ("127.0.0.1", int(os.environ.get("PORT", "8000")))
TABLE = """
create table if not exists accounts (
  email text primary key, token text not null, confirmed_at timestamptz)"""

app = App()  # the database is what PGQ_DSN says
retried = Exponential(first=timedelta(seconds=1), factor=3, maximum=timedelta(hours=1))


def sign_up(email: str) -> None:
    """Make an account, its mail, and a reminder for tomorrow; nothing for an address that has one."""
    with psycopg.connect(app.dsn) as conn:  # commits at the end, rolls back on an exception
        added = conn.execute(
            "insert into accounts values (%s, %s) on conflict do nothing", [email, secrets.token_urlsafe()]
        )
        if added.rowcount:
            send_link.using(conn=conn).enqueue(email)
            remind.using(conn=conn, delay=timedelta(days=1)).enqueue(email)


def confirm(token: str) -> bool:
    """Confirm the account that the token was mailed for; False if there is none."""
    with psycopg.connect(app.dsn) as conn:
        confirmed = conn.execute("update accounts set confirmed_at = now() where token = %s", [token])
        return confirmed.rowcount == 1


@app.task(queue="mail", max_attempts=8, backoff=retried, timeout=timedelta(seconds=30))
def send_link(email: str) -> None:
    """Mail the link. A server that says "later" (4xx) gets it again, one that says "never" (5xx) does not."""
    _send(email, "Please confirm your address", _account(email)[0])


@app.task(queue="mail", max_attempts=8, backoff=retried, timeout=timedelta(seconds=30))
def remind(email: str) -> None:
    """Mail the link once more, unless it was followed meanwhile."""
    token, confirmed_at = _account(email)
    if confirmed_at is not None:
        raise Cancel("confirmed already")
    _send(email, "Your sign-up waits for you", token)


def _account(email: str) -> tuple[str, Any]:
    with psycopg.connect(app.dsn) as conn:
        found = conn.execute("select token, confirmed_at from accounts where email = %s", [email]).fetchone()
    if found is None:
        raise Cancel("the account was deleted")
    return found[0], found[1]


def _send(email: str, subject: str, token: str) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "signup@example.org", email, subject
    mail.set_content(f"http://{ADDRESS[0]}:{ADDRESS[1]}/confirm?token={token}\n")
    host, port = os.environ.get("SMTP_HOST", "127.0.0.1"), int(os.environ.get("SMTP_PORT", "8025"))
    try:
        with smtplib.SMTP(host, port, timeout=10) as server:
            server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as refused:
        code, reason = refused.recipients[email]
        if code >= 500:
            raise Discard(f"{code} {reason.decode(errors='replace')}") from refused
        raise


def web(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request: the form, a sign-up, or the link of a mail."""
    query = environ.get("QUERY_STRING", "")
    status, page = "200 OK", PAGE
    if environ["REQUEST_METHOD"] == "POST":
        form = parse_qs(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode())
        sign_up(form["email"][0])
        page = "Thank you. A mail is on its way."
    elif environ["PATH_INFO"] == "/confirm":
        known = confirm(parse_qs(query).get("token", [""])[0])
        status, page = ("200 OK", "Welcome.") if known else ("404 Not Found", "This link is not valid.")
    start_response(status, [("Content-Type", "text/html; charset=utf-8")])
    return [page.encode()]


if __name__ == "__main__":
    with psycopg.connect(app.dsn) as conn:
        conn.execute(TABLE)
    make_server(*ADDRESS, web).serve_forever()
