"""Imports an application, as a server would, and says which interface it has: ASGI, WSGI, or why that is not known."""

import asyncio
import importlib
import inspect
import os
import sys
import warnings

# What the application prints is no answer. It prints the same when it is started.
answer = os.dup(1)
nothing = os.open(os.devnull, os.O_RDWR)
for descriptor in 0, 1, 2:
    os.dup2(nothing, descriptor)


def load(name):
    # The servers have it so, whatever PYTHONSAFEPATH says.
    sys.path.insert(0, os.getcwd())
    module, _, attributes = name.partition(":")
    found = importlib.import_module(module)
    for attribute in attributes.removesuffix("()").split("."):
        found = getattr(found, attribute)
    return found() if attributes.endswith("()") else found


def is_async(function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # It knows marks of asgiref's that inspect does not. Python 3.14 warns of it.
        check = getattr(asyncio, "iscoroutinefunction", inspect.iscoroutinefunction)
        return check(function) or inspect.iscoroutinefunction(function)


def interface(app):
    if not callable(app):
        return f"it is a {type(app).__name__}, which cannot be called"
    # uvicorn's rule, which takes all else for ASGI 2.
    if inspect.isclass(app):
        if hasattr(app, "__await__"):
            return "ASGI"
    elif is_async(app) or is_async(getattr(app, "__call__", None)):
        return "ASGI"
    parameters = [
        p for p in inspect.signature(app).parameters.values() if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    needed = [p.name for p in parameters if p.default is p.empty]
    if parameters and parameters[0].name == "scope":
        return "ASGI"
    if len(needed) == 2 or parameters and parameters[0].name == "environ":
        return "WSGI"
    if len(needed) == 3:
        return "ASGI"
    return f"it takes {inspect.signature(app)}"


if workspace := os.environ.get("JCLOUD_WORKSPACE"):
    os.makedirs(workspace, exist_ok=True)
try:
    text = interface(load(sys.argv.pop()))
except BaseException as error:
    text = f"{type(error).__name__}: {error}"
os.write(answer, " ".join(text.split()).encode(errors="replace") + b"\n")
# Threads of the application may run, and have nothing to do.
os._exit(0)
