"use strict";
(() => {
  const base = document.body.dataset.base, link = document.getElementById("link");
  const say = text => { link.hidden = !text; link.textContent = text; };
  const show = root => root.querySelectorAll(".js").forEach(e => { e.hidden = false; });
  const replace = (name, html) => {
    const box = document.getElementById(name);
    if (!box || box.dataset.was === html) return;
    const focus = box.contains(document.activeElement) && document.activeElement.dataset.key;
    box.dataset.was = html;
    box.innerHTML = html;
    show(box);
    if (focus) box.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  };
  show(document);
  const events = new EventSource(base + "page" + location.search);
  events.onopen = () => say("");
  events.onerror = () => say("no answer: trying again");
  for (const name of ["state", "tiles", "relays", "pairs", "waiting", "ended", "refused"])
    events.addEventListener(name, event => replace(name, event.data));
  document.addEventListener("click", async event => {
    const button = event.target.closest("button[data-delete],button[data-post]");
    if (!button) return;
    const { delete: cut, post } = button.dataset;
    button.disabled = true;
    try {
      const answer = await fetch(base + (cut || post), {
        method: cut ? "DELETE" : "POST",
        headers: { "Couplet-Admin": "1", "Content-Type": "application/json" },
      });
      say(answer.ok ? "" : (await answer.json()).detail);
    } catch (error) {
      say(String(error));
    }
    button.disabled = false;
  });
})();
