"""Listens on all addresses of the machine, as most programs do; connects to where it is asked to: /?host=127.0.0.1&port=53."""

import json
import os
import socket
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
        answer = {"port": os.environ["PORT"]}
        if "host" in query:
            try:
                with socket.create_connection((query["host"], int(query["port"])), timeout=10) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    answer["read"] = len(connection.recv(1 << 16))
            except OSError as e:
                answer["failed"] = type(e).__name__
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


Server(("::", int(os.environ["PORT"])), Handler).serve_forever()
