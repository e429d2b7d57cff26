import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/pid")
def pid():
    return {"pid": os.getpid(), "hostname": os.environ["HOSTNAME"]}
