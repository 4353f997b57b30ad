// Shows results while a person types; without it the form is sent as ever.
"use strict";
{
  const form = document.querySelector("form.search");
  const input = form.elements.q;
  const results = document.getElementById("results");
  const count = document.getElementById("count");
  const front = document.getElementById("front");
  let timer = 0;
  let newest = 0;

  const element = (name, text, properties) =>
    Object.assign(document.createElement(name), { textContent: text }, properties);

  function item(hit, base) {
    const li = element("li", "");
    const age = element("span", "", { className: "age" });
    if (hit.uploaded) {
      const time = element("time", "", { dateTime: hit.uploaded, title: hit.uploaded });
      time.textContent = ago(new Date(hit.uploaded));
      age.append(time);
    }
    const version = element("span", hit.version, { className: "version" });
    if (hit.yanked) {
      version.append(" ", element("span", "yanked", { className: "mark bad" }));
    }
    if (hit.source !== "local") {
      version.append(" ", element("span", hit.source, { className: "source" }));
    }
    li.append(element("a", hit.name, { href: new URL(hit.url, base).href }), version, age);
    if (hit.summary) {
      li.append(element("p", hit.summary));
    }
    if (hit.excerpt.length) {
      // Every second piece is what matched.
      const pieces = hit.excerpt.map((text, place) => (place % 2 ? element("mark", text) : text));
      const excerpt = element("p", "", { className: "excerpt" });
      excerpt.append(...pieces);
      li.append(excerpt);
    }
    return li;
  }

  function meant(near, base) {
    const line = element("p", "Did you mean ");
    near.forEach(({ project, url }, place) => {
      const after = near.length - place - 1;
      line.append(element("a", project, { href: new URL(url, base).href }), after > 1 ? ", " : after ? " or " : "?");
    });
    return line;
  }

  function tell(sentence, className) {
    // Only the text changes, so that screen readers say it.
    count.textContent = sentence;
    count.className = className;
  }

  function show(found, base) {
    const isEmpty = !found.results.length;
    tell(found.sentence, isEmpty ? "note" : "hint");
    results.replaceChildren();
    if (!isEmpty) {
      const list = element("ol", "", { className: "hits" });
      list.append(...found.results.map((hit) => item(hit, base)));
      results.append(list);
    }
    if (found.near.length) {
      results.append(meant(found.near, base));
    }
    if (found.direct) {
      const { project, url, upstreams } = found.direct;
      const before = upstreams.length
        ? `Projects of ${upstreams.join(", ")} are found here once somebody has requested them. There may be `
        : "There is ";
      const link = element("a", project, { href: new URL(url, base).href });
      const line = element("p", before, { className: "direct" });
      line.append(link, ".");
      results.append(line);
    }
    if (found.more) {
      const ways = element("nav", "", { className: "ways" });
      const query = encodeURIComponent(found.query);
      ways.append(element("a", "More results", { href: `${form.action}?q=${query}&start=${found.results.length}` }));
      results.append(ways);
    }
  }

  async function search() {
    const text = input.value.trim();
    const number = ++newest;
    history.replaceState(null, "", text ? `${form.action}?q=${encodeURIComponent(text)}` : form.action);
    if (front) {
      front.hidden = Boolean(text);
      results.hidden = !text;
    }
    if (!text) {
      results.replaceChildren();
      tell("", "hint");
      return;
    }
    let found = null;
    let base = "";
    try {
      const response = await fetch(results.dataset.search + encodeURIComponent(text));
      base = response.url;
      found = response.ok ? await response.json() : null;
    } catch {
      // The server is away; what stood there is of another search.
    }
    // A late answer is not for what stands in the box now.
    if (number === newest) {
      if (found) {
        show(found, base);
      } else {
        tell("The server does not answer the search. Press Enter to try it again.", "note warn");
        results.replaceChildren();
      }
    }
  }

  function searchSoon() {
    clearTimeout(timer);
    timer = setTimeout(search, 150);
  }

  input.addEventListener("input", (event) => {
    // What is composed with an input method is a word only at the end.
    if (!event.isComposing) {
      searchSoon();
    }
  });
  input.addEventListener("compositionend", searchSoon);
}
