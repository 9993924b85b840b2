"use strict";
// One patch after another. A patch stays until its label is on disk; the next ones are fetched meanwhile.
const AHEAD = 8;
let hello = null;
let queue = []; // patches before this tab, the first is shown; each with what fetches its picture
let waits = null; // the label, or undo, that was sent and is not answered yet
let asked = false;
let isOver = false;
let shownPatch = null;

const link = connect({
  opened: () => {
    problem(null);
    waits = null;
    asked = false;
  },
  told,
  lost: () => problem(LOST),
});

function told(message) {
  if (message.kind === "hello") {
    greet(message);
    if (!hello) makeButtons(message);
    hello = message;
    queue.filter((patch) => !patch.ready).forEach(fetched); // what could not be fetched while the connection was lost
    if (queue.length && !queue[0].ready) show();
    ask();
  } else if (message.kind === "patches") {
    asked = false;
    queue = queue.filter((patch) => !message.gone.includes(patch.number));
    const before = queue.length;
    queue.push(...message.patches.map(fetched));
    isOver = queue.length === 0;
    if (before === 0 || message.gone.includes(shownPatch)) show();
  } else if (message.kind === "saved") {
    problem(null);
    const word = shownWord(message.word);
    const other = waits && waits.word !== message.word;
    waits = null;
    queue = queue.filter((patch) => patch.number !== message.patch);
    say([other ? `It was labelled ${word} meanwhile, which stays.` : `Saved: ${word}.`, message.note]);
    show();
    ask();
  } else if (message.kind === "undone") {
    problem(null);
    waits = null;
    queue.unshift(fetched(message.patch));
    say([`Taken back: ${shownWord(message.word)}.`]);
    show();
  } else if (message.kind === "refused") {
    waits = null;
    problem(`Not saved. ${message.why}`);
    say(["Not saved; the patch stays."]);
  } else if (message.kind === "note") {
    waits = null;
    say([message.note]);
  } else if (message.kind === "state") {
    progress(message);
  }
}

const say = (parts) => (get("said").textContent = parts.filter(Boolean).join(" "));
const shownWord = (word) => hello.choices.find((choice) => choice.word === word)?.shown ?? word;

function ask() {
  if (asked || !link.isOpen() || (queue.length > AHEAD / 2 && hello.asked)) return;
  asked = true;
  hello.asked = true;
  link.send({ kind: "more", n: AHEAD - Math.min(AHEAD, queue.length), kept: queue.map((patch) => patch.number) });
}

function fetched(patch) {
  patch.grey = greyOf(`picture/patch/${patch.number}`);
  patch.grey.catch(() => {}); // told where it is shown
  patch.grey.then((grey) => (patch.ready = grey), () => {});
  return patch;
}

function show() {
  const patch = queue[0];
  showStain(false);
  view.stain = null;
  view.stainUrl = patch && hello.hasStain ? `picture/stain/${patch.number}` : null;
  shownPatch = patch ? patch.number : null;
  if (!patch) {
    view.grey = null;
    get("picture").width = get("picture").height = 1;
    get("picture").style.width = get("picture").style.height = "0";
    get("picture").setAttribute("aria-label", "no patch");
    get("where").textContent = isOver
      ? "No patch is left. Press Ctrl-C in the terminal to end the program."
      : "The next patches are being fetched…";
    return;
  }
  if (patch.ready) put(patch, patch.ready);
  else patch.grey.then((grey) => shownPatch === patch.number && put(patch, grey), () => problem("The picture cannot be fetched."));
}

function put(patch, grey) {
  view.grey = grey;
  view.zoom = 1;
  const [name, group, y, x] = patch.of ?? [];
  const where = patch.of ? `${name}, y ${y}, x ${x}` : `patch ${patch.number}`; // in an audit a name may tell the treatment
  const why = patch.chosenBy === "uncertain" ? "the filter is unsure" : "drawn at random";
  get("where").textContent = `${where} · ${group === name ? "" : `group ${group} · `}${why}`;
  get("picture").setAttribute("aria-label", patch.of ? `Bright-field patch of ${where}` : `Bright-field ${where}`);
  get("picture").dataset.patch = patch.number;
  draw();
}

function label(word) {
  const patch = queue[0];
  if (!patch || waits || view.grey === null || !patch.ready) return;
  if (!link.isOpen()) {
    problem(`Not saved. ${LOST}`);
    return;
  }
  waits = { number: patch.number, word };
  link.send({ kind: "label", patch: patch.number, word });
}

function undo() {
  if (waits || !link.isOpen()) return;
  waits = {}; // a key that is pressed before the answer would be of the patch that is shown still
  link.send({ kind: "undo" });
}

function makeButtons(message) {
  for (const choice of message.choices) button(get("choices"), { key: choice.key, shown: choice.shown, does: () => label(choice.word) });
  button(get("tools"), { key: "Backspace", shown: "undo", does: undo });
  viewTools(get("tools"), message.hasStain);
}

function progress(state) {
  const counts = get("counts");
  counts.replaceChildren();
  hello.choices.forEach((choice, at) => counts.append(made("dt", "", choice.shown), made("dd", "", state.counts[at].toLocaleString("en"))));
  counts.append(made("dt", "", "patches in all"), made("dd", "", state.total.toLocaleString("en")));
  const lines = state.filter.map((line) => made("li", "", line));
  if (state.enough && lines.length) lines.at(-1).className = "enough";
  get("filter").replaceChildren(...lines);
}
