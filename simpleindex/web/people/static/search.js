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
    li.append(
      element("a", hit.name, { href: new URL(hit.url, base).href }),
      element("span", hit.version, { className: "version" }),
      age,
    );
    if (hit.summary) {
      li.append(element("p", hit.summary));
    }
    return li;
  }

  function show(found, base) {
    const number = found.results.length;
    count.textContent = number ? `${number} project${number === 1 ? "" : "s"}${found.more ? ", and more" : ""}` : "";
    if (!number) {
      results.replaceChildren(element("p", `No project matches ${found.query}.`, { className: "note", role: "status" }));
      return;
    }
    const list = element("ol", "", { className: "hits" });
    list.append(...found.results.map((hit) => item(hit, base)));
    results.replaceChildren(list);
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
      count.textContent = "";
      return;
    }
    const response = await fetch(results.dataset.search + encodeURIComponent(text));
    // A late answer is not for what stands in the box now.
    if (response.ok && number === newest) {
      show(await response.json(), response.url);
    }
  }

  input.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search().catch(() => {}), 150);
  });
}
