import os
import time

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index():
    return {"message": "Hello from Flask!", "scheme": request.scheme, "pid": os.getpid(), "client": request.remote_addr}


@app.get("/sleep/<float:seconds>")
def sleep(seconds):
    time.sleep(seconds)
    return {"slept": seconds}
