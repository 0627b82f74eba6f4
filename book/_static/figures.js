// Enlarges a figure: its wide picture moves into a dialog and back. Escape, the button and a click beside it close that.
"use strict";

const enlarge = (drawing) => {
  const picture = drawing.querySelector("svg.wide");
  const after = picture.nextSibling;
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", picture.getAttribute("aria-label"));
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "Close";
  const view = document.createElement("div");
  view.className = "enlarged-view";
  view.tabIndex = 0; // so that the arrow keys move what is larger than the window
  drawing.style.minHeight = `${drawing.offsetHeight}px`; // the page behind keeps its place
  view.append(picture);
  dialog.append(close, view);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => {
    drawing.insertBefore(picture, after);
    drawing.style.minHeight = "";
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
};

const addButton = (drawing) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Enlarge";
  button.addEventListener("click", () => enlarge(drawing));
  drawing.querySelector(".drawing-files").prepend(button);
  drawing.querySelectorAll(":scope > svg").forEach((picture) => {
    picture.addEventListener("click", () => picture.closest("dialog") || enlarge(drawing));
  });
};

document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".drawing").forEach(addButton));
