// Comfort only: without this file every page works by links and the form.
"use strict";

const byId = (id) => document.getElementById(id);
const links = () => Array.from(document.querySelectorAll(".list .subject"));

// Keys: / goes to the search, j and k move in the list; Enter opens, as on any link.
function move(by) {
  const all = links();
  if (all.length === 0) return;
  const at = all.indexOf(document.activeElement);
  const to = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  all[to].focus();
  all[to].closest("tr").scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  if (e.target.closest("input, textarea, select, [contenteditable]")) {
    if (e.key === "Escape") e.target.blur();
    return;
  }
  const field = document.querySelector(".search input");
  if (e.key === "/" && field) {
    field.focus();
    field.select();
  } else if (e.key === "j") {
    move(1);
  } else if (e.key === "k") {
    move(-1);
  } else {
    return;
  }
  e.preventDefault();
});

// A click anywhere on a row opens it, unless it marks text.
document.addEventListener("click", (e) => {
  const row = e.target.closest(".list tbody tr");
  if (row && !e.target.closest("a") && String(getSelection()) === "") {
    row.querySelector(".subject").click();
  }
});

// Fields that are empty do not stand in the address.
document.addEventListener("submit", (e) => {
  for (const input of e.target.querySelectorAll("input")) input.disabled = input.value.trim() === "";
});
addEventListener("pageshow", () => {
  for (const input of document.querySelectorAll(".search input")) input.disabled = false;
});

// Times are in UTC, or in the time zone of the browser.
const clock = byId("clock");
const pad = (n) => String(n).padStart(2, "0");
function show(local) {
  for (const t of document.querySelectorAll("time[datetime]")) {
    const d = new Date(t.dateTime);
    t.dataset.utc ??= t.textContent;
    t.textContent = local
      ? `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`
      : t.dataset.utc;
    t.title = local ? `${t.dataset.utc} UTC` : d.toLocaleString();
  }
  for (const zone of document.querySelectorAll(".zone")) zone.textContent = local ? "local" : "UTC";
  clock.textContent = local ? "Show times in UTC" : "Show local times";
}
let local = false;
try { local = localStorage.getItem("times") === "local"; } catch { /* storage is off */ }
clock.hidden = !document.querySelector("time");
show(local);
clock.addEventListener("click", () => {
  show(local = !local);
  try { localStorage.setItem("times", local ? "local" : "utc"); } catch { /* storage is off */ }
});

// Copying needs a secure context; elsewhere the text is marked, for Ctrl+C.
for (const button of document.querySelectorAll("[data-copy]")) {
  const source = byId(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(source);
      button.textContent = "Marked";
    }
    setTimeout(() => { button.textContent = "Copy id"; }, 2000);
  });
}

for (const keys of document.querySelectorAll(".keys")) keys.hidden = links().length === 0;
