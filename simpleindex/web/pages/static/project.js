const up = get("up");
up.hidden = false;
up.onclick = () => (location = "../");
const install = get("install");
if (install) {
  showIndex(
    install,
    String(new URL("..", location.origin + location.pathname)),
  );
  const copy = get("copy");
  copy.hidden = !navigator.clipboard;
  copy.onclick = async () => {
    await navigator.clipboard.writeText(install.textContent);
    copy.textContent = "Copied";
  };
}
