# Not main.py, which is what a deploy of main:app looks for.
from fastapi import FastAPI

app = FastAPI()
