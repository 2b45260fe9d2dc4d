"""A gigabyte in which no two mebibytes are the same: its checksum, or a page of it at port 8000."""
import hashlib
import http.server
import random
import sys

BLOCK = random.Random(1).randbytes(1 << 20)


def blocks():
    for nth in range(1024):
        yield nth.to_bytes(8, "big") + BLOCK[8:]


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 30))
        self.end_headers()
        for block in blocks():
            self.wfile.write(block)


if sys.argv[1] == "sum":
    digest = hashlib.sha256()
    for block in blocks():
        digest.update(block)
    print(digest.hexdigest())
else:
    http.server.HTTPServer(("", 8000), Page).serve_forever()
