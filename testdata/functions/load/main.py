import os
import time

from fastapi import FastAPI

app = FastAPI()


# Not async: it computes in a thread, and the instance goes on answering others, more slowly.
@app.get("/load/{count}")
def load(count: int):
    """Computes for about a second of CPU time per 50 million."""
    began = time.thread_time()
    result = 0
    for i in range(count):
        result += i * i
    return {
        "cpu_time": time.thread_time() - began,
        "result": result,
        "hostname": os.environ["HOSTNAME"],
    }
