// What pages do with JavaScript, and can do without: the theme's button, and parts that are asked for again.
"use strict";
(function () {
  const root = document.documentElement;

  function isDark() {
    if (root.dataset.theme) return root.dataset.theme === "dark";
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  const button = document.getElementById("theme");
  button.hidden = false;
  button.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("pgq-theme", root.dataset.theme);
    } catch (_) {
      return; // it holds for this page
    }
    root.dispatchEvent(new CustomEvent("pgq:theme"));
  });

  // On a narrow window the navigation is scrolled to where one is.
  const here = document.querySelector(".top nav [aria-current]");
  const list = here && here.closest("ul");
  if (list) list.scrollLeft = here.offsetLeft - list.offsetLeft - (list.clientWidth - here.offsetWidth) / 2;

  // A part is left alone while nobody looks, or while somebody marks text, types or has a menu open in it.
  function isBusy(part) {
    if (document.hidden) return true;
    const focused = document.activeElement;
    if (focused && part.contains(focused) && focused.matches("input, select, textarea")) return true;
    const marked = getSelection();
    return Boolean(marked && !marked.isCollapsed && part.contains(marked.anchorNode)) || part.querySelector("details[open].menu") !== null;
  }

  // The focus stays where it was: on the element with the same id, or the same place among those that can have it.
  const places = new WeakMap();
  const focusable = "a[href], button, input, select, summary, [tabindex]";

  document.body.addEventListener("htmx:beforeSwap", function (event) {
    const part = event.detail.target;
    if (!part.contains(document.activeElement)) return;
    places.set(part, Array.from(part.querySelectorAll(focusable)).indexOf(document.activeElement));
  });
  document.body.addEventListener("htmx:afterSwap", function (event) {
    const part = event.detail.target;
    const place = places.get(part);
    places.delete(part);
    const found = place === undefined ? undefined : part.querySelectorAll(focusable)[place];
    if (found) found.focus({ preventScroll: true });
  });

  // Numbers that stand still look like those that do not: say since when they do.
  const stale = document.getElementById("stale");
  const silent = new Set();
  let heard = new Date();

  function fell(event) {
    const status = event.detail.xhr ? event.detail.xhr.status : 0;
    silent.add(event.detail.target);
    const why = status === 401 ? "you are not signed in any more: load the page again" : status ? "the dashboard answers " + status : "the dashboard does not answer";
    const said = "Not refreshed since " + heard.toISOString().slice(11, 19) + " UTC: " + why + ".";
    if (stale.textContent !== said) stale.textContent = said;
    stale.hidden = false;
  }
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) document.body.addEventListener(name, fell);
  document.body.addEventListener("htmx:afterSwap", function (event) {
    silent.delete(event.detail.target);
    if (silent.size) return;
    heard = new Date();
    stale.hidden = true;
  });

  for (const part of document.querySelectorAll("[data-live]")) {
    setInterval(function () {
      if (!isBusy(part)) htmx.trigger(part, "live");
    }, Number(part.dataset.live) * 1000);
  }

  // Filter forms go off when a choice is made; their button is for those without JavaScript, and for text fields.
  for (const select of document.querySelectorAll("form.filters select")) {
    select.addEventListener("change", function () { select.form.requestSubmit(); });
  }
  for (const form of document.querySelectorAll("form.filters")) {
    form.addEventListener("submit", function () {
      for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
    });
  }
})();
