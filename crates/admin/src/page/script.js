"use strict";
(() => {
  const base = document.body.dataset.base, link = document.getElementById("link");
  const headers = { "Couplet-Admin": "1", "Content-Type": "application/json" };
  // The captures at work, by pair.
  const captures = new Map();
  const say = text => { link.hidden = !text; link.textContent = text; };
  const show = root => {
    root.querySelectorAll(".js").forEach(e => { e.hidden = false; });
    root.querySelectorAll("[data-capture]").forEach(name);
  };
  const name = button => {
    const id = button.dataset.capture, going = captures.get(id);
    button.textContent = going ? `Save ${Math.ceil(going.bytes / 1024)} KiB` : "Capture";
    button.setAttribute("aria-label", `${going ? "End and save the capture of" : "Capture"} pair ${id}`);
  };
  const replace = (name, html) => {
    const box = document.getElementById(name);
    if (!box || box.dataset.was === html) return;
    const focus = box.contains(document.activeElement) && document.activeElement.dataset.key;
    box.dataset.was = html;
    box.innerHTML = html;
    show(box);
    if (focus) box.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus();
  };
  const save = (id, parts) => {
    const file = document.createElement("a");
    file.href = URL.createObjectURL(new Blob(parts, { type: "application/x-pcapng" }));
    file.download = `pair-${id}.pcapng`;
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 60000);
  };
  const capture = async id => {
    if (captures.has(id)) return captures.get(id).stop.abort();
    const going = { stop: new AbortController(), bytes: 0 }, parts = [];
    captures.set(id, going);
    try {
      const answer = await fetch(`${base}v1/pairs/${id}/capture`, { headers, signal: going.stop.signal });
      if (!answer.ok) throw new Error((await answer.json()).detail);
      say("");
      for (const reader = answer.body.getReader(); ;) {
        const { done, value } = await reader.read();
        if (done) break;
        parts.push(value);
        going.bytes += value.length;
      }
    } catch (error) {
      if (!going.stop.signal.aborted) say(`capture of pair ${id}: ${error.message}`);
    }
    captures.delete(id);
    if (parts.length) save(id, parts);
  };
  const change = async (method, path) => {
    try {
      const answer = await fetch(base + path, { method, headers });
      say(answer.ok ? "" : (await answer.json()).detail);
    } catch (error) {
      say(String(error));
    }
  };
  show(document);
  const events = new EventSource(base + "page" + location.search);
  events.onopen = () => say("");
  events.onerror = () => say("no answer: trying again");
  for (const name of ["state", "tiles", "relays", "pairs", "waiting", "ended", "refused"])
    events.addEventListener(name, event => replace(name, event.data));
  document.addEventListener("click", async event => {
    const button = event.target.closest("button");
    if (!button) return;
    const { delete: cut, post, capture: id } = button.dataset;
    if (id) {
      const done = capture(id);
      name(button);
      await done;
      return document.querySelectorAll("[data-capture]").forEach(name);
    }
    if (!cut && !post) return;
    button.disabled = true;
    await change(cut ? "DELETE" : "POST", cut || post);
    button.disabled = false;
  });
})();
