// Comfort only: without it every page works, and shows days instead of "3 days ago".
"use strict";

const UNITS = [
  ["year", 31557600],
  ["month", 2629800],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
];

function ago(date) {
  const seconds = (Date.now() - date.getTime()) / 1000;
  // Not "last year": of what was 13 months ago that is wrong in January.
  const format = new Intl.RelativeTimeFormat("en", { numeric: "always" });
  for (const [unit, length] of UNITS) {
    // 90 days are "3 months", and 364 days "1 year".
    if (Math.abs(seconds) >= 0.95 * length) {
      return format.format(-Math.round(seconds / length), unit);
    }
  }
  return "just now";
}

for (const time of document.querySelectorAll("time[datetime]")) {
  time.textContent = ago(new Date(time.dateTime));
}

// What screen readers say: of a button whose text changes they say nothing.
const spoken = Object.assign(document.createElement("p"), { className: "unseen", role: "status" });

async function copy(button) {
  const snippet = button.closest(".snippet");
  const text = button.dataset.copy ?? snippet.querySelector("code").textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  spoken.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
    spoken.textContent = "";
  }, 2000);
}

if (navigator.clipboard) {
  document.querySelector("main").append(spoken);
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}

const chooser = document.querySelector("details.chooser");
if (chooser) {
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && chooser.open) {
      chooser.open = false;
      chooser.querySelector("summary").focus();
    }
  });
  document.addEventListener("click", (event) => {
    if (!chooser.contains(event.target)) {
      chooser.open = false;
    }
  });
}

// A second click while the answer is on its way would make a second token, whose secret nobody sees.
for (const form of document.querySelectorAll("form[method=post]")) {
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (isSent) {
      event.preventDefault();
    }
    isSent = true;
  });
  window.addEventListener("pageshow", () => {
    isSent = false;
  });
}

// The table of wheels leads to files that may be folded away; not every browser opens what it is led to.
function reveal() {
  const target = document.getElementById(decodeURI(location.hash.slice(1)));
  const folded = target?.closest("details:not([open])");
  if (folded) {
    folded.open = true;
    target.scrollIntoView();
  }
}

window.addEventListener("hashchange", reveal);
reveal();
