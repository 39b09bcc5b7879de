// Before anything is drawn: the theme that was chosen here, if any. Without a choice the system's preference holds.
"use strict";
(function () {
  try {
    const chosen = localStorage.getItem("pgq-theme");
    if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
  } catch (_) {
    return; // storage is forbidden: the system's preference holds
  }
})();
