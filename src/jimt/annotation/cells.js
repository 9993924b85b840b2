"use strict";
// One field after another, all of its cells clicked; each click is on disk before it is drawn.
let field = null;
let dead = false;
let begun = false;
let nAsked = 0; // changes that are not saved yet
let cross = null; // y and x of the crosshair that the arrow keys move
const SVG = "http://www.w3.org/2000/svg";
const marks = document.createElementNS(SVG, "svg");
marks.id = "marks";
marks.setAttribute("aria-hidden", "true");
get("picture").after(marks);
get("picture").classList.add("clicked");

const link = connect({
  opened: () => {
    problem(null);
    nAsked = 0;
  },
  told,
  lost: () => problem(LOST),
});

function told(message) {
  if (message.kind === "hello") {
    greet(message);
    if (!begun) makeButtons(message);
    begun = true;
    link.send(field ? { kind: "next", kept: field.number } : { kind: "next" });
  } else if (message.kind === "field") {
    nAsked = Math.max(0, nAsked - 1);
    problem(null);
    put(message);
  } else if (message.kind === "counted") {
    get("said").textContent = message.n
      ? `Saved: a field with ${message.n} cell${message.n === 1 ? "" : "s"}.`
      : "A field without a cell: the table has no row for it, so it does not count as counted.";
  } else if (message.kind === "refused") {
    nAsked = 0;
    problem(`Not saved. ${message.why}`);
  } else if (message.kind === "note") {
    nAsked = 0;
    get("said").textContent = message.note;
  } else if (message.kind === "state") {
    get("counts").replaceChildren(...message.counts.flatMap(([shown, n]) => [made("dt", "", shown), made("dd", "", n.toLocaleString("en"))]));
  }
}

function ask(message) {
  if (!link.isOpen()) problem(`Not saved. ${LOST}`);
  else if (message.kind === "next" || message.kind === "back" || (field && nAsked === 0)) {
    nAsked++;
    link.send({ ...message, name: field?.name });
  }
}

function put(message) {
  const isNew = !field || field.number !== message.number;
  field = message;
  const n = [field.cells.filter((cell) => !cell[2]).length, field.cells.filter((cell) => cell[2]).length];
  get("where").textContent = `${field.name}${field.group === field.name ? "" : ` · group ${field.group}`} · ${n[0]} live (circles), ${n[1]} dead (crosses)${field.isCounted ? " · counted" : ""}`;
  get("picture").setAttribute("aria-label", `Bright-field image of ${field.name}, ${n[0]} cells marked live and ${n[1]} dead`);
  if (!isNew) return draw();
  showStain(false);
  view.grey = view.stain = cross = null;
  view.zoom = 1;
  const { number } = field;
  view.stainUrl = `picture/stain/${number}`;
  greyOf(`picture/field/${number}`).then((grey) => {
    if (field.number !== number) return;
    view.grey = grey;
    get("picture").dataset.field = number;
    draw();
  }, () => problem("The picture cannot be fetched."));
}

view.draw = (scale) => {
  const { width, height } = get("picture");
  marks.setAttribute("viewBox", `0 0 ${width} ${height}`);
  marks.style.width = get("picture").style.width;
  marks.style.height = get("picture").style.height;
  const r = 7 / scale;
  const path = (d, className) => {
    const element = document.createElementNS(SVG, "path");
    element.setAttribute("d", d);
    element.setAttribute("class", className);
    return element;
  };
  const shapes = field.cells.flatMap(([y, x, isDead]) => {
    const d = isDead
      ? `M${x - r} ${y - r}L${x + r} ${y + r}M${x - r} ${y + r}L${x + r} ${y - r}`
      : `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`;
    return [path(d, "halo"), path(d, isDead ? "dead" : "live")];
  });
  if (cross) {
    const [y, x] = cross;
    const d = `M${x - 3 * r} ${y}L${x - r / 2} ${y}M${x + r / 2} ${y}L${x + 3 * r} ${y}M${x} ${y - 3 * r}L${x} ${y - r / 2}M${x} ${y + r / 2}L${x} ${y + 3 * r}`;
    shapes.push(path(d, "halo"), path(d, "cross"));
  }
  marks.replaceChildren(...shapes);
};

// The marked cell within some screen pixels of a place.
function near(y, x) {
  const reach = (12 * get("picture").width) / get("picture").clientWidth;
  const found = field.cells.map((cell) => [Math.hypot(cell[0] - y, cell[1] - x), cell]).filter(([distance]) => distance <= reach);
  return found.length ? found.reduce((one, other) => (other[0] < one[0] ? other : one))[1] : null;
}

function placeOf(event) {
  const box = get("picture").getBoundingClientRect();
  return [((event.clientY - box.top) / box.height) * get("picture").height, ((event.clientX - box.left) / box.width) * get("picture").width];
}

// A click on a cell that is marked calls it what is chosen; elsewhere it marks a new one.
function mark([y, x]) {
  const cell = near(y, x);
  if (cell && cell[2] === dead) return;
  ask({ kind: "put", y: cell ? cell[0] : y, x: cell ? cell[1] : x, dead });
}

function remove([y, x]) {
  const cell = near(y, x);
  if (cell) ask({ kind: "remove", y: cell[0], x: cell[1] });
}

get("picture").addEventListener("click", (event) => field && view.grey && mark(placeOf(event)));
get("picture").addEventListener("contextmenu", (event) => {
  event.preventDefault();
  if (field && view.grey) remove(placeOf(event));
});

function moveCross(down, right) {
  if (!view.grey) return;
  const step = 10 / view.zoom;
  const { width, height } = get("picture");
  const [y, x] = cross ?? [height / 2, width / 2];
  cross = [Math.min(height - 1, Math.max(0, y + down * step)), Math.min(width - 1, Math.max(0, x + right * step))];
  draw();
  showCross();
}

// Of a picture that is larger than its frame.
function showCross() {
  const stage = get("stage");
  const [frame, box] = [stage.getBoundingClientRect(), get("picture").getBoundingClientRect()];
  const edge = 40; // screen pixels
  const [y, x] = [box.top + (cross[0] * box.height) / get("picture").height, box.left + (cross[1] * box.width) / get("picture").width];
  stage.scrollTop += Math.max(0, y + edge - frame.bottom) - Math.max(0, frame.top - (y - edge));
  stage.scrollLeft += Math.max(0, x + edge - frame.right) - Math.max(0, frame.left - (x - edge));
}

function choose(isDead) {
  dead = isDead;
  get("live-button").setAttribute("aria-pressed", String(!dead));
  get("dead-button").setAttribute("aria-pressed", String(dead));
}

function makeButtons(message) {
  button(get("choices"), { key: "l", shown: "live ○", does: () => choose(false), id: "live-button" });
  button(get("choices"), { key: "d", shown: "dead ×", does: () => choose(true), id: "dead-button" });
  button(get("choices"), { key: "Enter", shown: "all cells are marked", does: () => ask({ kind: "counted" }) });
  choose(false);
  const tools = get("tools");
  button(tools, { key: "Backspace", shown: "undo", does: () => ask({ kind: "undo" }) });
  button(tools, { key: "n", shown: "next field", does: () => ask({ kind: "next" }) });
  button(tools, { key: "b", shown: "field before", does: () => ask({ kind: "back" }) });
  viewTools(tools, message.hasStain);
  button(tools, { key: " ", shown: "mark at crosshair", does: () => cross && mark(cross) });
  button(tools, { key: "Delete", shown: "remove there", does: () => cross && remove(cross) });
  for (const [key, down, right] of [["ArrowUp", -1, 0], ["ArrowDown", 1, 0], ["ArrowLeft", 0, -1], ["ArrowRight", 0, 1]])
    keys.set(key, { does: () => moveCross(down, right), repeats: true });
  get("tools").after(made("p", "hint", "A click marks a cell, or calls a marked one what is chosen; a right click removes it. Arrow keys move a crosshair."));
}
