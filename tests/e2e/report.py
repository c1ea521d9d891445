"""report.py PAGE BROWSER [FOLDER]: report/index.html as a reader sees it: at the widths of a desk and of a phone, by day and by night. Everything loads and
comes from disk, nothing is wider than the screen, plots are light on a light page and dark on a dark one, photographs are the same on both. FOLDER gets
screenshots."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))
from browser import Browser

page, program = sys.argv[1:3]
folder = sys.argv[3] if len(sys.argv) > 3 else None
bad = []

# The mean brightness, 0 to 1, of a picture as it is seen: of a screenshot, which the page itself takes apart.
brightness = """(async () => {{
  const image = new Image();
  image.src = "data:image/png;base64,{}";
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width, canvas.height = image.height;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const x = context.getImageData(0, 0, image.width, image.height).data;
  let sum = 0;
  for (let i = 0; i < x.length; i += 4) sum += x[i] + x[i + 1] + x[i + 2];
  return sum / (x.length / 4) / 765;
}})()"""


def check(good, what):
    if not good:
        bad.append(what)
        print("FAILED:", what)


def seen(b, place):
    x, y, width, height = b.value(f"(() => {{ const r = {place}.getBoundingClientRect(); return [r.x + scrollX, r.y + scrollY, r.width, r.height]; }})()")
    clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
    return b.value(brightness.format(b.call("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})["data"]))


b = Browser(program)
picture = {}
for width in 1280, 390:
    for scheme in "light", "dark":
        b.call("Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600})
        b.call("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
        b.open(f"file://{page}")
        b.wait("document.readyState === 'complete'")
        b.value("document.querySelectorAll('img').forEach((i) => (i.loading = 'eager'))")
        check(b.wait("[...document.images].every((i) => i.complete && i.naturalWidth > 0)"), f"{scheme}, {width}: pictures do not load")
        check(b.value(f"document.documentElement.scrollWidth <= {width}"), f"{scheme}, {width}: wider than the screen")
        check(b.value("[...document.images].every((i) => i.alt.length > 5)"), "pictures without words")
        check(b.value("[...document.querySelectorAll('a')].every((a) => a.hash === '' || document.getElementById(a.hash.slice(1)))"), "links that lead nowhere")
        check(b.value("[...document.querySelectorAll('td, th, p, figcaption')].every((e) => parseFloat(getComputedStyle(e).fontSize) >= 12)"), "text too small to read")
        plot = seen(b, "document.querySelector('img[src$=svg]')")
        check(plot > 0.85 if scheme == "light" else plot < 0.2, f"{scheme}, {width}: plots of brightness {plot:.2f}")
        picture[width, scheme] = seen(b, "document.querySelector('img[src$=png]')")
        if folder:
            b.screenshot(f"{folder}/report-{scheme}-{width}.png")
for width in 1280, 390:
    check(abs(picture[width, "light"] - picture[width, "dark"]) < 0.02, "photographs change with the scheme")
outside = {e["params"]["request"]["url"] for e in b.events if e.get("method") == "Network.requestWillBeSent"}
check(all(u.startswith(("file:", "data:", "about:")) for u in outside), f"the page asks others: {outside}")
b.close()
sys.exit(bool(bad))
