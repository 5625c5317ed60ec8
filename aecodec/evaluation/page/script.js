"use strict";
// Tabs: arrow keys and clicks; without this script every section is shown, one below the other.
const tabs = [...document.querySelectorAll('[role="tab"]')];
function show(tab, focus) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
}
tabs.forEach((tab, at) => {
  tab.addEventListener("click", () => show(tab, false));
  tab.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) show(tabs[(at + step + tabs.length) % tabs.length], true);
  });
});
document.documentElement.classList.add("scripted");
show(tabs[0], false);

// Maps: which place is shown, and where the original ends and the reconstruction begins.
const places = [...document.querySelectorAll(".place")];
const chooser = document.getElementById("place");
function choose() {
  places.forEach((place, number) => (place.hidden = number !== Number(chooser.value)));
}
if (chooser) {
  for (const kind of ["input", "change"]) chooser.addEventListener(kind, choose);
  choose();
}
for (const slider of document.querySelectorAll(".wipe input")) {
  const wipe = slider.closest(".wipe");
  const move = () => wipe.style.setProperty("--cut", slider.value + "%");
  slider.addEventListener("input", move);
  move();
}
