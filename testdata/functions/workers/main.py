import os

from fastapi import FastAPI, Response

app = FastAPI()


@app.get("/pid")
def pid(response: Response):
    # Every request on a connection of its own: the worker that has accepted one gets all that come on it.
    response.headers["connection"] = "close"
    return {"pid": os.getpid(), "hostname": os.environ["HOSTNAME"]}
