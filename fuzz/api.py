"""Who `make fuzz-api` is: a user of its own, logged in again before the token ends or after a log-out."""

import json
import time
import urllib.request
import uuid

import schemathesis

# Access tokens live five minutes.
TOKEN_SECONDS = 200
# As long as any call may take that answers at once.
TIMEOUT_SECONDS = 5
# Not the one in the examples of the contract: those would change it, and leave with it.
PASSWORD = "a passphrase of our own"
# Query parameters whose type is an enum.
ENUMS = {"outcome"}


@schemathesis.hook
def before_call(context, case, kwargs):
    """Leaves out what is answered with 5xx by design, and what is right although the schema does not say so."""
    timeout = number((case.headers or {}).get("Request-Timeout"))
    if timeout is not None and 0 < timeout < TIMEOUT_SECONDS:
        # Nobody can keep such a deadline: 504.
        case.headers["Request-Timeout"] = str(TIMEOUT_SECONDS)
    query = case.query or {}
    if (number(query.get("minVersion")) or 0) > 0:
        # A change that never was is not findable in time: 503.
        query["minVersion"] = "0"
    for name in ENUMS & query.keys():
        if number(query[name]) is not None:
            # ProtoJSON takes the number of an enum's value for its name.
            query[name] = f"?{query[name]}"


def number(text):
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


@schemathesis.auth(refresh_interval=None)
class OwnUser:
    def __init__(self):
        self.credentials = None
        self.token = None
        self.logged_in_at = 0.0

    def get(self, case, context):
        # Whoever logs out needs a session that nobody else uses.
        ends_session = case.method == "DELETE" and case.path == "/v1/sessions/current"
        if ends_session:
            return self.log_in(case)
        if self.token is None or time.monotonic() - self.logged_in_at > TOKEN_SECONDS:
            self.token = self.log_in(case)
            self.logged_in_at = time.monotonic()
        return self.token

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"

    def log_in(self, case):
        base_url = case.operation.base_url
        if self.credentials is None:
            credentials = {"email": f"{uuid.uuid4()}@example.com", "password": PASSWORD}
            post(base_url, "/v1/users", credentials)
            self.credentials = credentials
        return post(base_url, "/v1/sessions", self.credentials)["accessToken"]


def post(base_url, path, body):
    request = urllib.request.Request(
        base_url.rstrip("/") + path, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)
