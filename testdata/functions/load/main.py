import os
import time

from fastapi import FastAPI

app = FastAPI()


# Not async: it computes in a thread, and the instance goes on answering others, more slowly.
@app.get("/load/{count}")
def load(count: int):
    """Computes; ten million take most of a second of CPU time."""
    began = time.thread_time()
    result = 0
    for i in range(count):
        result = (result * 31 + i * i) % 1_000_000_007 ^ i >> 3
    return {
        "cpu_time": time.thread_time() - began,
        "result": result,
        "hostname": os.environ["HOSTNAME"],
    }
