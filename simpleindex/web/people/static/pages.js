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
  const format = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of UNITS) {
    if (Math.abs(seconds) >= length) {
      return format.format(-Math.trunc(seconds / length), unit);
    }
  }
  return "just now";
}

for (const time of document.querySelectorAll("time[datetime]")) {
  time.textContent = ago(new Date(time.dateTime));
}

async function copy(button) {
  const snippet = button.closest(".snippet");
  const text = button.dataset.copy ?? snippet.querySelector("code").textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => {
    button.textContent = "Copy";
  }, 2000);
}

if (navigator.clipboard) {
  for (const button of document.querySelectorAll("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
}
