#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents name has to be there: tests, scenarios of the sweep, files behind links."""

import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1])
DOCUMENTS = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    ROOT / "formats/FORMATS.md",
    ROOT / "firmware/README.md",
    ROOT / "ports/esp_idf/README.md",
]
faults = []


def test_files(name):
    return [*ROOT.glob(f"tests/**/{name}.c"), *ROOT.glob(f"tests/**/{name}.py")]


def has_case(path, case):
    text = path.read_text()
    if path.suffix == ".py":
        return re.search(rf"^def {case}\(", text, re.M) is not None
    defined = re.search(rf"^(static void )?{case}\(void \*\*state\)", text, re.M)
    listed = re.search(rf"^\s+\w+\(\s*{case}[,)]", text, re.M)
    return defined is not None and listed is not None


def check_cases(document, text):
    cases = re.findall(r"`(test_\w+):\s+(\w+)`", text)
    for file, case in cases:
        # test_device_api is a unit test and an end-to-end test
        if not any(has_case(path, case) for path in test_files(file)):
            faults.append(f"{document}: no test {file}: {case}")
    return len(cases)


def check_scenarios(document, text):
    table = (ROOT / "sim/src/powercut.c").read_text()
    for name in re.findall(r"`powercut: (\w+)`", text):
        if re.search(rf'{{"{name}",\s+"', table) is None:
            faults.append(f"{document}: no scenario {name}")


def anchors(path):
    heads = re.findall(r"^#+ (.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def check_links(document, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        if re.match(r"https?:", target):
            continue
        if not path.exists():
            faults.append(f"{document}: link to {target}, which is not there")
        elif anchor and anchor not in anchors(path):
            faults.append(f"{document}: {target}: no such heading")


count = 0
for document in DOCUMENTS:
    text = document.read_text()
    count += check_cases(document, text)
    check_scenarios(document, text)
    check_links(document, text)
print("\n".join(faults) or f"docs: {len(DOCUMENTS)} documents, {count} tests named")
if count < 100:
    sys.exit("docs: hardly any test found: has the way they are named changed?")
sys.exit(1 if faults else 0)
