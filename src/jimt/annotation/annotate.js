"use strict";
// What both pages share: the connection, the picture with its contrast and zoom, keys and buttons.
function problem(text) {
  get("problem").hidden = !text;
  if (get("problem").textContent !== (text ?? "")) get("problem").textContent = text ?? "";
}

// ---- the connection: opened again when it was lost, as after the computer slept
function connect({ opened, told, lost }) {
  let socket = null;
  let waits = 250;
  function open() {
    const here = new URL("socket", location.href);
    here.protocol = here.protocol === "https:" ? "wss:" : "ws:";
    socket = new WebSocket(here);
    socket.onopen = () => {
      waits = 250;
      opened();
    };
    socket.onmessage = (event) => told(JSON.parse(event.data));
    socket.onclose = () => {
      socket = null;
      lost();
      setTimeout(open, waits);
      waits = Math.min(5000, 2 * waits);
    };
  }
  open();
  return {
    isOpen: () => socket !== null && socket.readyState === WebSocket.OPEN,
    send: (message) => socket.send(JSON.stringify(message)),
  };
}
const LOST = "The connection to jimt annotate is lost. What was saved is on disk; this page goes on when the connection is " +
  "back. If the program has ended, start it again and open the address that it prints.";

// ---- the picture
const CONTRASTS = [null, [1, 99], [5, 95], [10, 90]];
const view = { contrast: 0, zoom: 1, grey: null, stain: null, showsStain: false, draw: () => {} };

async function greyOf(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status}`);
  const bitmap = await createImageBitmap(await answer.blob());
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const grey = new Uint8Array(bitmap.width * bitmap.height);
  for (let i = 0; i < grey.length; i++) grey[i] = rgba.data[4 * i];
  return { width: bitmap.width, height: bitmap.height, grey };
}

// Grey values that a percentile of the pixels is below of.
function percentiles(grey, ends) {
  const histogram = new Uint32Array(256);
  for (const value of grey) histogram[value]++;
  return ends.map((percentile) => {
    let rest = (percentile / 100) * grey.length;
    for (let value = 0; value < 256; value++) {
      rest -= histogram[value];
      if (rest < 0) return value;
    }
    return 255;
  });
}

function paint(canvas, picture, contrast) {
  const [low, high] = contrast ? percentiles(picture.grey, contrast) : [0, 255];
  const shown = new Uint8ClampedArray(256);
  for (let value = 0; value < 256; value++) shown[value] = (255 * (value - low)) / Math.max(1, high - low);
  const image = new ImageData(picture.width, picture.height);
  for (let i = 0; i < picture.grey.length; i++) {
    const value = shown[picture.grey[i]];
    image.data[4 * i] = image.data[4 * i + 1] = image.data[4 * i + 2] = value;
    image.data[4 * i + 3] = 255;
  }
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// Screen pixels of one of the picture at zoom 1: as large as its frame allows.
function fitted(picture) {
  const stage = get("stage");
  return Math.max(0.05, Math.min((stage.clientWidth - 8) / picture.width, (stage.clientHeight - 8) / picture.height));
}

function draw() {
  const picture = view.showsStain && view.stain ? view.stain : view.grey;
  if (!picture) return;
  const canvas = get("picture");
  paint(canvas, picture, view.showsStain ? null : CONTRASTS[view.contrast]);
  const scale = fitted(picture) * view.zoom;
  canvas.style.width = `${picture.width * scale}px`;
  canvas.style.height = `${picture.height * scale}px`;
  const ends = CONTRASTS[view.contrast];
  const contrast = ends ? `contrast from the ${ends[0]}${ends[0] === 1 ? "st" : "th"} to the ${ends[1]}th percentile` : "contrast as the network sees it";
  get("view").textContent = view.showsStain ? "propidium iodide" : `${contrast}, ${view.zoom === 1 ? "whole" : `${view.zoom.toFixed(1)} times as large`}`;
  drawScale(scale);
  view.draw(scale);
}

function drawScale(scale) {
  get("scale").hidden = !view.pixelSize;
  if (!view.pixelSize) return;
  const perMicrometre = scale / view.pixelSize;
  const length = [5, 10, 20, 50, 100, 200, 500].find((um) => um * perMicrometre > 60) ?? 1000;
  get("scale").textContent = `${length} µm`;
  get("scale").style.width = `${length * perMicrometre}px`;
}

function zoomed(factor) {
  const stage = get("stage");
  const [x, y] = [(stage.scrollLeft + stage.clientWidth / 2) / stage.scrollWidth, (stage.scrollTop + stage.clientHeight / 2) / stage.scrollHeight];
  view.zoom = factor === 0 ? 1 : Math.min(16, Math.max(1, view.zoom * factor));
  draw();
  stage.scrollLeft = x * stage.scrollWidth - stage.clientWidth / 2;
  stage.scrollTop = y * stage.scrollHeight - stage.clientHeight / 2;
}

function nextContrast() {
  view.contrast = (view.contrast + 1) % CONTRASTS.length;
  draw();
}

// Few look at PI, so it is fetched when its key goes down, and shown if that is down still.
function showStain(shows) {
  view.wantsStain = shows;
  if (shows && !view.stain && view.stainUrl) {
    const url = view.stainUrl;
    greyOf(url).then((stain) => {
      if (url !== view.stainUrl) return;
      view.stain = stain;
      if (view.wantsStain) showStain(true);
    }, () => problem("The picture of PI cannot be fetched."));
  }
  if (view.showsStain === shows || (shows && !view.stain)) return;
  view.showsStain = shows;
  get("stain-button")?.setAttribute("aria-pressed", String(shows));
  draw();
}

// ---- keys and buttons
const keys = new Map();

function button(parent, { key, shown, does, holds, id }) {
  const element = made("button");
  element.type = "button";
  if (id) element.id = id;
  const label = { Backspace: "⌫", Enter: "⏎", Delete: "Del", " ": "Space" }[key] ?? key;
  const cap = made("kbd", "", label);
  cap.setAttribute("aria-hidden", "true");
  element.append(cap, shown);
  element.setAttribute("aria-keyshortcuts", key === " " ? "Space" : key);
  if (holds) {
    element.setAttribute("aria-pressed", "false");
    element.addEventListener("pointerdown", () => holds(true));
    for (const ends of ["pointerup", "pointerleave", "pointercancel"]) element.addEventListener(ends, () => holds(false));
    keys.set(key, { holds });
  } else {
    element.addEventListener("click", (event) => {
      if (event.detail > 0) element.blur(); // of a mouse: the next Enter is of the page again
      does();
    });
    keys.set(key, { does });
  }
  parent.append(element);
  return element;
}

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (["Enter", " "].includes(event.key) && event.target instanceof HTMLButtonElement) return; // it presses the button
  const found = keys.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (!found) return;
  event.preventDefault();
  if (event.repeat && !found.repeats) return; // a key that is held down labels one patch
  if (found.holds) found.holds(true);
  else found.does();
});
addEventListener("keyup", (event) => keys.get(event.key.toLowerCase())?.holds?.(false));
addEventListener("blur", () => showStain(false));
addEventListener("resize", draw);

function viewTools(parent, hasStain) {
  button(parent, { key: "x", shown: "contrast", does: nextContrast });
  if (hasStain) button(parent, { key: "p", shown: "PI while held", holds: showStain, id: "stain-button" });
  button(parent, { key: "+", shown: "larger", does: () => zoomed(1.5) });
  keys.set("=", keys.get("+")); // the same key, without Shift, of many keyboards
  button(parent, { key: "-", shown: "smaller", does: () => zoomed(1 / 1.5) });
  button(parent, { key: "0", shown: "whole", does: () => zoomed(0) });
}

function greet(hello) {
  document.title = hello.title;
  get("title").textContent = hello.title;
  get("question").textContent = hello.question;
  get("file").textContent = hello.file;
  view.pixelSize = hello.pixelSize;
  if (hello.note) get("said").textContent = hello.note;
}
