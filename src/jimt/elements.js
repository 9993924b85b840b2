"use strict";
// What the scripts of every page share.
const get = (id) => document.getElementById(id);

// Text only ever becomes text: no name is read as HTML.
function made(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}
