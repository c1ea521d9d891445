"""explorer.py URL BROWSER MATCHES.csv [FOLDER]: the explorer as a visitor uses it: type a TARGETID, see matches, click one, change the direction, ask for
what is not there; at the widths of a desk and of a phone. MATCHES.csv holds what the stage `search` found: direction,query,rank,targetid,score.
FOLDER gets screenshots."""
import csv
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from browser import Browser

url, program, table = sys.argv[1:4]
folder = sys.argv[4] if len(sys.argv) > 4 else None
bad = []


def check(good, what):
    if not good:
        bad.append(what)
        print("FAILED:", what)


found = {}
for row in csv.DictReader(open(table)):
    found.setdefault((row["direction"], row["query"]), []).append((row["targetid"], float(row["score"])))
direction, query = next(key for key in found if key[0] == "image-image")

shown = "[...document.querySelectorAll('#matches h3')].map(h => h.textContent.replace(/^\\d+: /, ''))"
cosines = "[...document.querySelectorAll('#matches dl')].map(d => Number(d.querySelector('dd').textContent))"
status = "document.getElementById('status').textContent"


def matches_are(direction, query):
    want = found[direction, query]
    words = direction.replace("-", " to ")
    check(b.wait(f"{status}.endsWith('{words}')"), f"no answer for {query}, {direction}: {b.value(status)}")
    check(b.value(shown)[: len(want)] == [t for t, _ in want], f"other matches than those of `search`: {direction}, {query}")
    check(all(abs(x - s) < 1e-4 for x, (_, s) in zip(b.value(cosines), want)), f"other cosines: {direction}, {query}")


b = Browser(program)
b.open(url)
check(b.wait("document.querySelectorAll('#sample button').length > 5"), "no objects to pick from")
check(b.wait("[...document.querySelectorAll('#sample img')].slice(0, 4).every(i => i.complete && i.naturalWidth === 152)"), "pictures do not load")
b.click("document.getElementById('targetid')")
b.type(query)
b.press_enter()
matches_are("image-image", query)
check(b.wait("document.querySelectorAll('#query-object svg polyline').length > 0"), "the query has no spectrum")
check(b.value("document.querySelectorAll('#query-object svg text.name').length") > 3, "no lines are marked")
check(b.value("document.querySelector('#matches img').alt.length > 10 && !!document.querySelector('#matches dd')"), "matches without picture or properties")
for direction in ("spectrum-spectrum", "image-spectrum", "spectrum-image"):
    b.value(f"(() => {{ const s = document.getElementById('direction'); s.value = '{direction}'; s.dispatchEvent(new Event('change')); }})()")
    matches_are(direction, query)
if folder:
    b.wait("[...document.querySelectorAll('#matches img')].slice(0, 4).every(i => i.complete) && !!document.querySelector('#query-object polyline')")
    b.screenshot(f"{folder}/desk.png")
first = b.value(shown)[0]
b.click("document.querySelector('#matches button')")
check(b.wait(f"document.querySelector('#query-object h3').textContent === '{first}'"), "a click on a match does not make it the query")
b.value("history.back()")
check(b.wait(f"document.querySelector('#query-object h3').textContent === '{query}'"), "the browser's way back does not lead back")
b.click(f"[...document.querySelectorAll('#sample button')].find(e => !e.getAttribute('aria-label').includes('{query}'))")
check(b.wait(f"document.querySelector('#query-object h3').textContent !== '{query}'"), "a click on a picture asks nothing")
b.value("document.getElementById('targetid').value = '12345'")
b.click("document.querySelector('#ask button')")
check(b.wait(f"{status}.includes('no object') && document.getElementById('status').className === 'bad'"), "an unknown TARGETID is not told of")
b.value("document.getElementById('targetid').value = '<img src=x onerror=document.title=1>'")
b.click("document.querySelector('#ask button')")
check(b.wait(f"{status}.includes('whole number')"), "nonsense is not told of")
check(b.value("document.title") == "Similar galaxies", "what was typed became part of the page")
b.call("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True})
check(b.wait("document.documentElement.scrollWidth <= 390"), "the page is wider than a phone")
if folder:
    b.value("scrollTo(0, 0)")
    b.screenshot(f"{folder}/phone.png")
outside = {e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"}
check(all(u.startswith(url) or u.startswith(("data:", "about:")) for u in outside), f"the page asks others: {outside}")
errors = [e for e in b.events if e.get("method") == "Runtime.exceptionThrown"]
check(not errors, f"errors in the page: {errors[:2]}")
b.close()
sys.exit(bool(bad))
