"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.095 ? 1 : 0)} %`;

function linkTo(url, text) {
  const link = made("a", "", text);
  link.href = url;
  return link;
}

function card(field) {
  const element = made("article", field.flags.length ? "field flagged" : "field");
  element.setAttribute("aria-label", `field ${field.name}`);
  const picture = linkTo(`maps/${field.url}.png`);
  picture.className = "picture";
  const image = made("img");
  image.loading = "lazy";
  image.src = `thumbnails/${field.url}_field.jpg`;
  image.alt = `Bright-field image of ${field.name}; opens its map`;
  image.width = 240;
  image.height = Math.max(1, Math.round((240 * field.height) / field.width));
  picture.append(image);
  // half of the pictures are loaded only where they are looked at
  const showMap = () => {
    if (picture.children.length > 1) return;
    const map = made("img", "map");
    map.alt = "";
    map.src = `thumbnails/${field.url}_map.jpg`;
    picture.append(map);
  };
  picture.addEventListener("mouseenter", showMap);
  picture.addEventListener("focus", showMap);
  element.showMap = showMap;
  element.append(picture, made("div", "name", field.name));
  const where = [field.plate && data.nPlates > 1 ? `plate ${field.plate}` : null, field.well,
    field.field === null ? null : `field ${field.field}`, field.time === null ? null : `time ${field.time}`];
  const told = where.filter((part) => part !== null).join(" · ");
  if (told) element.append(made("div", "where", told));
  if (field.share === null) {
    element.append(made("div", "share", "no cells, no share"));
  } else {
    const share = made("div", "share");
    share.append(made("strong", "", `${percent(field.share)} dead`));
    if (field.low !== null && field.high !== null && field.high > field.low)
      share.append(` (${percent(field.low)} to ${percent(field.high)})`);
    const bar = made("div", "bar");
    bar.setAttribute("aria-hidden", "true");
    const part = made("i");
    part.style.width = `${100 * field.share}%`;
    bar.append(part);
    if (field.low !== null && field.high !== null) {
      const range = made("b");
      range.style.left = `${100 * field.low}%`;
      range.style.width = `${100 * (field.high - field.low)}%`;
      bar.append(range);
    }
    element.append(share, bar);
    if (field.viability !== null)
      element.append(made("div", "where", `viability ${percent(field.viability)}, ${field.cells} nuclei`));
  }
  if (field.flags.length) {
    const badges = made("div");
    for (const flag of field.flags) badges.append(made("span", "badge", `⚠ ${data.flagWords[flag] ?? flag}`));
    element.append(badges);
    if (!field.counted) element.append(made("div", "note", "Left out of the means."));
  }
  if (field.reasons.length + field.notes.length) {
    const told = made("details");
    told.append(made("summary", "note", field.reasons.length ? "Why" : "What was done to its image"));
    for (const line of [...field.reasons, ...field.notes]) told.append(made("div", "note", line));
    element.append(told);
  }
  const links = made("div", "links");
  links.append(linkTo(`maps/${field.url}.png`, "map"), " · ", linkTo(`maps/${field.url}.ome.tiff`, "OME-TIFF"), " · ",
    linkTo(`outlines/${field.url}.geojson`, "outlines"));
  element.append(links);
  return element;
}

// ---- fields: which are shown, in which order

// a plate of 384 wells has thousands of fields: a card is made when it is first shown, so many at a time
const atATime = 240;
let most = atATime;
const cards = new Map();
function cardOf(at) {
  if (!cards.has(at)) cards.set(at, card(data.fields[at]));
  return cards.get(at);
}

const number = (value, none) => (value === null ? none : value);
const compare = new Intl.Collator("en", { numeric: true }).compare;
const orders = {
  "as given": (a, b) => a.number - b.number,
  name: (a, b) => compare(a.name, b.name),
  well: (a, b) => number(a.inWell, Infinity) - number(b.inWell, Infinity) || compare(a.field ?? "", b.field ?? ""),
  "dead share, highest first": (a, b) => number(b.share, -1) - number(a.share, -1),
  "dead share, lowest first": (a, b) => number(a.share, 2) - number(b.share, 2),
  "distance to the training data, farthest first": (a, b) => number(b.distance, -1) - number(a.distance, -1),
  "flagged first": (a, b) => b.flags.length - a.flags.length,
};

function fill(select, options) {
  for (const [value, text] of options) {
    const option = made("option", "", text);
    option.value = value;
    select.append(option);
  }
}

const nFlagged = (flag) => data.fields.filter((field) => field.flags.includes(flag)).length;
const allFlags = [...new Set(data.fields.flatMap((field) => field.flags))].sort();
fill(get("sort"), Object.keys(orders).map((name) => [name, name]));
fill(get("flag"), [["", "all"], ["none", "without flags"], ["any", "with any flag"],
  ...allFlags.map((flag) => [`is ${flag}`, `${data.flagWords[flag] ?? flag} (${nFlagged(flag)})`])]);
const wellSelect = get("well");
if (wellSelect) fill(wellSelect, [["", "all"], ...data.wells.map((name, at) => [String(at), name])]);

function isShown(field) {
  const text = get("name").value.trim().toLowerCase();
  const flag = get("flag").value;
  const low = Number(get("from").value || 0) / 100;
  const high = Number(get("to").value || 100) / 100;
  if (text && !`${field.name}\n${field.file}`.toLowerCase().includes(text)) return false;
  if (wellSelect && wellSelect.value && Number(wellSelect.value) !== field.inWell) return false;
  if (flag === "none" && field.flags.length) return false;
  if (flag === "any" && !field.flags.length) return false;
  if (flag.startsWith("is ") && !field.flags.includes(flag.slice(3))) return false;
  if (low <= 0 && high >= 1) return true;
  return field.share !== null && field.share >= low - 1e-9 && field.share <= high + 1e-9;
}

function update() {
  most = atATime;
  show();
}

function show() {
  const order = orders[get("sort").value];
  const shown = data.fields.map((field, at) => at).filter((at) => isShown(data.fields[at]));
  shown.sort((a, b) => order(data.fields[a], data.fields[b]) || a - b);
  const asMaps = get("maps").checked;
  const drawn = shown.slice(0, most).map(cardOf);
  get("fields").classList.toggle("all-maps", asMaps);
  if (asMaps) for (const element of drawn) element.showMap();
  get("fields").replaceChildren(...drawn);
  const left = shown.length - drawn.length;
  get("more").hidden = left === 0;
  get("more").textContent = `Show ${Math.min(left, atATime)} more (${left} not shown yet)`;
  const n = data.fields.length;
  const found = shown.length === n ? `${n} field${n === 1 ? "" : "s"}` : `${shown.length} of ${n} fields`;
  get("count").textContent = left ? `${found}, the first ${drawn.length} of them below.`
    : shown.length === n ? `${found}.` : `${found} shown.`;
  if (get("chosen")) get("chosen").textContent = wellSelect.value ? `Shown: ${data.wells[Number(wellSelect.value)]}.` : "";
  for (const button of document.querySelectorAll(".plate button"))
    button.setAttribute("aria-pressed", String(button.dataset.well === wellSelect.value));
}

// ---- the plate: a button for each well of which there are fields

function drawPlate() {
  const plate = data.plates[Number(get("plate").value)];
  const table = made("table", "plate");
  const columns = plate.columns.length;
  table.style.setProperty("--columns", columns);
  table.style.setProperty("--side", columns > 24 ? "17px" : columns > 12 ? "32px" : "50px");
  table.style.setProperty("--text", columns > 12 ? "11.5px" : "15px");
  table.append(made("caption", "", `${plate.words}: mean dead share of each well, per cent${plate.leftOut}`));
  const head = made("tr");
  head.append(made("th"));
  for (const column of plate.columns) {
    const cell = made("th", "", columns > 24 && column % 2 === 1 ? "" : String(column + 1));
    cell.scope = "col";
    head.append(cell);
  }
  table.append(head);
  for (const [row, letters] of plate.rows) {
    const line = made("tr");
    const name = made("th", "", letters);
    name.scope = "row";
    line.append(name);
    for (const column of plate.columns) {
      const cell = made("td");
      const well = plate.wells[`${row},${column}`];
      if (well) cell.append(wellButton(well, plate));
      line.append(cell);
    }
    table.append(line);
  }
  // the plate is one stop of the Tab key, which would else stop at hundreds of wells before the fields
  const stopAt = (well) => { for (const each of table.querySelectorAll("button")) each.tabIndex = each === well ? 0 : -1; };
  stopAt(table.querySelector("button"));
  table.addEventListener("focusin", (event) => stopAt(event.target));
  table.addEventListener("keydown", goByArrow);
  get("plate-map").replaceChildren(table);
}

const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// to the next well in a row or column, over places that have no fields
function goByArrow(event) {
  if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [down, right] = steps[event.key], rows = event.currentTarget.rows;
  let [row, column] = [event.target.closest("tr").rowIndex + down, event.target.closest("td").cellIndex + right];
  while (rows[row]?.cells[column] && !rows[row].cells[column].querySelector("button")) [row, column] = [row + down, column + right];
  rows[row]?.cells[column]?.querySelector("button").focus();
}

function wellButton(well, plate) {
  const button = made("button", "");
  button.type = "button";
  button.dataset.well = String(well.number);
  const left = well.nLeftOut ? `, ${well.nLeftOut} left out` : "";
  const n = `${well.nCounted} field${well.nCounted === 1 ? "" : "s"}`;
  const flagged = well.flagged ? ", has flagged fields" : "";
  button.title = well.share === null ? `${well.name}: no field counts${left}${flagged}`
    : `${well.name}: ${percent(well.share)} dead, mean of ${n}${left}${flagged}`;
  button.setAttribute("aria-label", button.title);
  if (well.flagged) button.classList.add("flagged");
  if (well.share === null) {
    button.classList.add("none");
  } else {
    const step = Math.round(100 * well.share);
    button.style.background = data.colours[step];
    button.style.color = data.inks[step];
    if (plate.columns.length <= 24) button.textContent = String(step);
  }
  button.addEventListener("click", () => {
    wellSelect.value = wellSelect.value === button.dataset.well ? "" : button.dataset.well;
    update();
  });
  return button;
}

if (get("plate")) {
  fill(get("plate"), data.plates.map((plate, at) => [String(at), plate.words]));
  get("plate").addEventListener("change", () => { drawPlate(); update(); });
  drawPlate();
}
get("more").addEventListener("click", (event) => {
  const before = most;
  most += atATime;
  show();
  if (event.detail === 0) get("fields").children[before].querySelector("a").focus(); // pressed by a key: goes on from there
});
get("controls").addEventListener("input", update);
get("controls").addEventListener("submit", (event) => event.preventDefault());
get("controls").addEventListener("reset", () => setTimeout(update));
update();
