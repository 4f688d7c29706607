"""`make audit` asks about every locked package, and says no when there is something against one.

The service that knows of vulnerabilities is a stand-in on this machine: the real one changes from
day to day and cannot be had everywhere. It speaks OSV's protocol, as pip-audit does.
"""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.conftest import LOCKS
from tests.make.test_make import PROJECT, run, up_to_date

HOLE = {
    "id": "PYSEC-2030-1",
    "summary": "made up for this test",
    "modified": "2030-01-01T00:00:00Z",
    "published": "2030-01-01T00:00:00Z",
    "aliases": [],
    "affected": [],
}


class Service(ThreadingHTTPServer):
    """Knows of one bad package, or of none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bad = ""
        self.asked: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/query"


class Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        query = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = query["package"]["name"]
        self.server.asked.add(f"{name}=={query['version']}")
        affected = [
            {"package": {"name": name, "ecosystem": "PyPI"}, "versions": [query["version"]]}
        ]
        found = {"vulns": [{**HOLE, "affected": affected}]} if name == self.server.bad else {}
        body = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    threading.Thread(target=service.serve_forever, daemon=True).start()
    yield service
    service.shutdown()
    service.server_close()


@pytest.mark.skipif(not up_to_date(), reason=".venv was not made by `make`, or is out of date")
class TestAudit:
    """make audit"""

    def audit(self, service: Service) -> tuple[int, str]:
        done = run("make", "audit", f"ARGS=-s osv --osv-url {service.url}")
        return done.returncode, done.stdout + done.stderr

    def test_every_locked_package_is_asked_about(self, service: Service) -> None:
        status, said = self.audit(service)
        assert status == 0, said
        locked = {
            pin
            for name in LOCKS
            for pin in re.findall(
                r"^([A-Za-z0-9._-]+==[^ ]+)", (PROJECT / f"{name}.lock").read_text(), re.M
            )
        }
        assert {pin.lower() for pin in locked} == {pin.lower() for pin in service.asked}

    def test_one_vulnerability_is_a_no(self, service: Service) -> None:
        service.bad = "pillow"
        status, said = self.audit(service)
        assert status != 0 and "PYSEC-2030-1" in said and "pillow" in said
