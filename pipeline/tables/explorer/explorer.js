// explorer.js - the page of `astroclip serve`: asks the API (include/tables/explorer.h) and shows what it says. What comes from files is
// only ever text. The address holds the question: #row=12&direction=image-image&k=12.
"use strict";

const get = (id) => document.getElementById(id);
const state = { page: 0, labels: [], asked: 0 };

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "polyline", "line", "text"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

async function ask(path) {
  const answer = await fetch(path);
  const body = await answer.json().catch(() => ({ error: "the server gave no sensible answer" }));
  if (!answer.ok) throw new Error(body.error || answer.statusText);
  return body;
}

function say(text, bad = false) {
  get("status").textContent = text;
  get("status").classList.toggle("bad", bad);
}

const number = (x, digits) => (x === null || x === undefined ? "-" : x.toFixed(digits));

// ---- one object ----

function picture(object) {
  if (!object.image) return make("span", { class: "none" }, "no image");
  return make("img", { src: `/image/${object.row}.png`, loading: "lazy", width: 152, height: 152, alt: `Image of object ${object.targetid}` });
}

function properties(object) {
  const list = make("dl");
  const add = (name, value) => list.append(make("dt", {}, name), make("dd", {}, value));
  if ("score" in object) add("cosine", number(object.score, 4));
  if ("separation" in object) add("away", object.separation === null ? "-" : object.separation < 3600 ? `${object.separation.toFixed(1)}"` : `${(object.separation / 3600).toFixed(2)} deg`);
  add("z", number(object.z, 4));
  add("r", number(object.r, 2));
  add("RA", number(object.ra, 5));
  add("DEC", number(object.dec, 5));
  add("survey", `${object.survey} ${object.program} ${object.spectype}`);
  return list;
}

// What labels say, and what is predicted from each modality.
function labels(object) {
  const rows = state.labels
    .map((label) => ({ label, known: object.labels[label.name], said: object.predicted[label.name] || {} }))
    .filter(({ label, known, said }) => known !== null || [said.image, said.spectrum].some((x) => typeof x === "number"))
    .map(({ label, known, said }) => make("tr", { title: `${label.meaning} ${label.unit}` }, make("th", { scope: "row" }, label.name),
      ...[known, said.image, said.spectrum].map((x) => make("td", {}, number(x, 2)))));
  if (rows.length === 0) return "";
  const head = make("tr", {}, ...["", "known", "from image", "from spectrum"].map((text) => make(text ? "th" : "td", text ? { scope: "col" } : {}, text)));
  return make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows));
}

async function drawSpectrum(place, object) {
  if (!object.spectrum) {
    place.append(make("p", { class: "soft" }, "no spectrum"));
    return;
  }
  const s = await ask(`/api/spectrum?row=${object.row}`);
  const wide = place.clientWidth > 480; // units are about pixels: text keeps its size
  const width = wide ? 720 : 340, height = wide ? 220 : 150, top = wide ? 30 : 8, foot = 22;
  const sorted = s.flux.filter((x) => x !== null).sort((a, b) => a - b);
  const low = Math.min(0, sorted[Math.floor(sorted.length * 0.01)] || 0), high = sorted[Math.floor(sorted.length * 0.995)] || 1;
  const end = s.start + s.step * s.flux.length;
  const x = (w) => ((w - s.start) / (end - s.start)) * width;
  const y = (f) => Math.min(height - foot, Math.max(2, top + (1 - (f - low) / (high - low || 1)) * (height - top - foot)));
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `Spectrum of object ${object.targetid}, lines at redshift ${number(object.z, 3)}` });
  s.lines.forEach((line, i) => {
    svg.append(make("line", { class: "line", x1: x(line.at), x2: x(line.at), y1: top - 4, y2: height - foot }));
    if (wide) svg.append(make("text", { class: "name", x: x(line.at), y: i % 2 ? 11 : 23 }, line.name));
  });
  let run = [];
  const flush = () => {
    if (run.length > 1) svg.append(make("polyline", { class: "trace", points: run.join(" ") }));
    run = [];
  };
  s.flux.forEach((f, i) => (f === null ? flush() : run.push(`${x(s.start + i * s.step).toFixed(1)},${y(f).toFixed(1)}`)));
  flush();
  for (let w = 4000; w < end; w += wide ? 1000 : 2000) svg.append(make("text", { x: x(w) - 14, y: height - 5 }, String(w)));
  place.append(svg);
}

function show(object, title, onPick) {
  const spectrum = make("div", { class: "spectrum" });
  drawSpectrum(spectrum, object).catch((error) => spectrum.append(make("p", { class: "soft" }, error.message)));
  let image = picture(object);
  if (onPick) {
    image = make("button", { class: "pick", type: "button", "aria-label": `Find what is like object ${object.targetid}` }, image);
    image.addEventListener("click", onPick);
  }
  return [make("h3", {}, title), make("div", { class: "object" }, image, properties(object), labels(object), spectrum)];
}

// ---- questions ----

function question() {
  return new URLSearchParams(location.hash.slice(1));
}

function go(changes) {
  const next = question();
  for (const [name, value] of Object.entries(changes)) next.set(name, value);
  if (!next.has("direction")) next.set("direction", get("direction").value);
  if (location.hash === `#${next}`) search();
  else location.hash = next;
}

async function search() {
  const asked = ++state.asked, q = question();
  if (!q.has("row")) return;
  if (q.has("direction")) get("direction").value = q.get("direction");
  if (q.has("k")) get("k").value = q.get("k");
  say("Searching...");
  try {
    const r = await ask(`/api/similar?row=${encodeURIComponent(q.get("row"))}&direction=${encodeURIComponent(get("direction").value)}&k=${encodeURIComponent(get("k").value)}`);
    if (asked !== state.asked) return; // a later question overtook this one
    get("targetid").value = r.query.targetid;
    get("query-object").replaceChildren(...show(r.query, r.query.targetid));
    get("matches").replaceChildren(...r.matches.map((m, i) => make("li", { class: "card" }, ...show(m, `${i + 1}: ${m.targetid}`, () => go({ row: m.row })))));
    get("query").hidden = get("results").hidden = false;
    say(`${r.matches.length} matches, ${r.direction.replace("-", " to ")}`);
  } catch (error) {
    if (asked === state.asked) say(error.message, true);
  }
}

async function find(event) {
  event.preventDefault();
  const id = get("targetid").value.trim();
  const changes = { direction: get("direction").value, k: get("k").value };
  if (!id) return say("Type a TARGETID, or pick an object below.", true);
  try {
    const r = await ask(`/api/object?targetid=${encodeURIComponent(id)}`);
    go({ ...changes, row: r.objects[0].row });
  } catch (error) {
    say(error.message, true);
  }
}

async function sample() {
  const r = await ask(`/api/sample?page=${state.page}&n=24`);
  if (r.objects.length === 0 && state.page > 0) {
    state.page = 0;
    return sample();
  }
  get("sample").replaceChildren(...r.objects.map((o) => {
    const pick = make("button", { class: "pick", type: "button", "aria-label": `Find what is like object ${o.targetid}` }, picture(o), `z ${number(o.z, 3)}`);
    pick.addEventListener("click", () => {
      go({ row: o.row });
      scrollTo({ top: 0 });
    });
    return make("li", {}, pick);
  }));
}

async function start() {
  const run = await ask("/api/run");
  state.labels = run.labels;
  get("k").value = run.neighbours;
  get("run").textContent = `${run.rows} objects${run.specprod ? `, spectra ${run.specprod}` : ""}${run.images ? `, images ${run.images}` : ""}`;
  get("direction").append(...run.directions.map((d) => make("option", { value: d }, d.replace("-", " to "))));
  get("ask").addEventListener("submit", find);
  get("direction").addEventListener("change", () => question().has("row") && go({ direction: get("direction").value }));
  get("more").addEventListener("click", () => {
    state.page++;
    sample().catch((error) => say(error.message, true));
  });
  addEventListener("hashchange", search);
  await sample();
  await search();
}

start().catch((error) => say(error.message, true));
