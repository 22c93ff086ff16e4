// Reloads the panels each second, and sends commands. Only a POST changes any state.
"use strict";
const EACH_MS = 1000, OLD_MS = 5000;
const renewed = document.getElementById("renewed");
const form = document.getElementById("control");
const service = document.body.dataset.service;
let lastReply = Date.now();
let allowedKey = ""; // the key that was found to control this service
let checking = 0;

function showAge() {
  const age = Date.now() - lastReply, old = age > OLD_MS;
  renewed.textContent = old
    ? `old: no reply for ${Math.round(age / 1000)} s`
    : `live, ${new Date(lastReply).toISOString().slice(11, 19)} UTC`;
  renewed.className = old ? "old" : "live";
}

function replacePanels(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (!next || next.innerHTML === part.dataset.shown) continue;
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.dataset.shown = next.innerHTML;
    part.replaceChildren(...document.adoptNode(next).childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus();
  }
  enableButtons();
}

async function renew() {
  try {
    const found = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!(found.headers.get("content-type") || "").startsWith("text/html")) throw new Error();
    const fresh = new DOMParser().parseFromString(await found.text(), "text/html");
    const panels = (page) => [...page.querySelectorAll("[data-live]")].map((one) => one.id).join();
    lastReply = Date.now();
    // A panel was added or removed: reload the page, unless somebody is using the form.
    if (found.ok && panels(fresh) !== panels(document) && !(form && form.contains(document.activeElement))) {
      location.reload();
      return;
    }
    replacePanels(fresh);
  } catch {
    // the banner shows for how long no reply came
  }
  showAge();
}

function typed(name) {
  return form.elements.namedItem(name).value.trim();
}

function enableButtons() {
  if (!form) return;
  const ready = allowedKey && allowedKey === typed("key") && typed("by") && typed("reason");
  document.getElementById("needs").hidden = ready;
  for (const button of form.querySelectorAll("button")) {
    button.disabled = !(ready && "available" in button.dataset);
  }
}

async function checkKey() {
  const key = typed("key");
  allowedKey = "";
  if (key) {
    try {
      const found = await fetch(`/v1/rollouts/${service}/rights`, {
        headers: { Authorization: `Bearer ${key}` },
      });
      const reply = await found.json();
      if (key !== typed("key")) return;
      allowedKey = found.ok ? key : "";
      showAnswer(reply.error || reply.message, found.ok ? "" : "refuse");
    } catch {
      showAnswer("the key could not be checked: the page does not answer", "refuse");
    }
  } else showAnswer("", "");
  enableButtons();
}

function showAnswer(text, kind) {
  const place = document.getElementById("answer");
  place.textContent = text;
  place.className = kind;
}

async function sendCommand(button) {
  const action = button.value;
  if (button.classList.contains("destructive") && !confirm(`${action}, ${service}: ${button.title}`)) return;
  showAnswer(`${action}: sent`, "");
  try {
    const found = await fetch(`/v1/rollouts/${service}/commands`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${typed("key")}` },
      body: JSON.stringify({ action, by: typed("by"), reason: typed("reason") }),
    });
    const reply = await found.json();
    if (found.ok) form.elements.namedItem("reason").value = "";
    showAnswer(reply.error || reply.message, found.ok ? "obey" : "refuse");
  } catch {
    showAnswer(`${action}: no reply came; the list of commands shows whether it arrived`, "refuse");
  }
  enableButtons();
  renew();
}

if (form) {
  form.elements.namedItem("by").value = sessionStorage.getItem("by") || "";
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target.name === "by") sessionStorage.setItem("by", event.target.value);
    if (event.target.name === "key") {
      clearTimeout(checking);
      checking = setTimeout(checkKey, 300);
    }
    enableButtons();
  });
  form.addEventListener("click", (event) => {
    if (event.target.tagName === "BUTTON") sendCommand(event.target);
  });
}
for (const part of document.querySelectorAll("[data-live]")) part.dataset.shown = part.innerHTML;
enableButtons();
showAge();
(async () => {
  for (;;) {
    await new Promise((done) => setTimeout(done, EACH_MS));
    if (document.hidden) showAge();
    else await renew();
  }
})();
