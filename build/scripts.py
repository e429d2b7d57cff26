"""Gives an environment the scripts of what its requirements name and the machine has: pip installs nothing of these."""

import importlib.metadata
import pathlib
import re
import sys

environment = pathlib.Path(sys.prefix)


def normal(name):
    return re.sub(r"[-_.]+", "-", name or "").lower()


named = set()
for file in (environment / "requirements").rglob("*"):
    if file.is_file():
        for line in file.read_text(errors="replace").splitlines():
            if found := re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line.strip()):
                named.add(normal(found[0]))

def add_scripts(package):
    if normal(package.metadata["Name"]) not in named:
        return
    for point in package.entry_points:
        script = environment / "bin" / pathlib.PurePath(point.name).name
        if point.group == "console_scripts" and point.attr and not script.exists():
            script.write_text(
                f"#!{environment}/bin/python3\n"
                f"import sys\nimport {point.module}\n"
                f"sys.argv[0] = {point.name!r}\n"
                f"sys.exit({point.module}.{point.attr}())\n"
            )
            script.chmod(0o755)


for package in importlib.metadata.distributions():
    try:
        add_scripts(package)
    except Exception as error:  # one that is damaged has none
        print(f"no scripts of {package}: {error}", file=sys.stderr)
