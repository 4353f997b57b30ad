// To restyle 10,000 links at every key takes a browser 300 ms. So the whole list is put aside with its layout kept, and copies
// of the first matches, those that begin with the text leading, stand in its place: 5 to 25 ms (headless Chromium 156, 2 cores).
const limit = 200;
const filter = get("filter");
const links = [...document.querySelectorAll("#all a")];
const names = links.map((link) => link.textContent);
const total = get("count")?.textContent;
// toLocaleString would cost another 30 ms, the first time.
const withCommas = (number) => String(number).replace(/\B(?=(...)+$)/g, ",");
const matching = (text) => [
  ...links.filter((_, i) => names[i].startsWith(text)),
  ...links.filter((_, i) => names[i].indexOf(text) > 0),
];
const applyFilter = () => {
  const text = filter.value
    .trim()
    .toLowerCase()
    .replace(/[-_.\s]+/g, "-");
  const matches = text ? matching(text) : [];
  const bound = matches.length > limit ? `, first ${limit} shown` : "";
  get("some").replaceChildren(
    ...matches.slice(0, limit).map((link) => link.cloneNode(true)),
  );
  get("all").classList.toggle("aside", text);
  get("count").textContent = text
    ? `${withCommas(matches.length)} of ${total}${bound}`
    : total;
};
if (filter) {
  filter.hidden = false;
  filter.oninput = applyFilter;
  filter.onkeydown = (event) => {
    if (event.key === "Enter") get("some").firstChild?.click();
  };
  applyFilter();
}
showIndex(get("install"), location.origin + location.pathname);
get("command").hidden = false;
