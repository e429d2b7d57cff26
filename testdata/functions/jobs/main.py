import os
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()
waiting = Path(os.environ.get("JCLOUD_WORKSPACE", "/tmp")) / "waiting"


@app.post("/waiting/{n}")
def wait(n: int):
    """Says how many jobs wait; all instances share that."""
    waiting.write_text(str(n))
    return {"waiting": n}


@app.get("/metrics", response_class=PlainTextResponse)
def metrics():
    """What Prometheus reads."""
    n = waiting.read_text() if waiting.exists() else "0"
    return f"# HELP jobs_waiting Jobs that wait.\n# TYPE jobs_waiting gauge\njobs_waiting {n}\n"
