// Part of every listing's script. Elements become links here and not in the page, whose anchors tools take for projects and files.
const get = (id) => document.getElementById(id);
for (const element of document.querySelectorAll("[data-href]")) {
  const link = document.createElement("a");
  link.href = element.dataset.href;
  link.textContent = element.textContent;
  element.replaceWith(link);
}
// The index is at "/" and at "/simple/" alike; people are shown the second everywhere.
const showIndex = (command, index) => {
  const url = index.replace(/(simple\/)?$/, "simple/");
  command.textContent = command.textContent.replace(
    "install",
    () => "install --index-url " + url,
  );
};
