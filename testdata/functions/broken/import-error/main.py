import no_such_module_anywhere
from fastapi import FastAPI

app = FastAPI()
