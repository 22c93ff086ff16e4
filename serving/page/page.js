// Renews the page from itself each second, and sends commands. No state changes but by a POST.
"use strict";
const EACH_MS = 1000, OLD_MS = 5000;
const renewed = document.getElementById("renewed");
const form = document.getElementById("steer");
const service = document.body.dataset.service;
let heard = Date.now();
let allowed = ""; // the key that was found to control this service
let checking = 0;

function sayRenewal() {
  const age = Date.now() - heard, old = age > OLD_MS;
  renewed.textContent = old
    ? `old: this page heard nothing for ${Math.round(age / 1000)} s`
    : `live, ${new Date(heard).toISOString().slice(11, 19)} UTC`;
  renewed.className = old ? "old" : "live";
}

function put(fresh) {
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
  allow();
}

async function renew() {
  try {
    const found = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (!(found.headers.get("content-type") || "").startsWith("text/html")) throw new Error();
    const fresh = new DOMParser().parseFromString(await found.text(), "text/html");
    const panels = (page) => [...page.querySelectorAll("[data-live]")].map((one) => one.id).join();
    heard = Date.now();
    // A panel that came or went: load the page anew, unless somebody is about to steer.
    if (found.ok && panels(fresh) !== panels(document) && !(form && form.contains(document.activeElement))) {
      location.reload();
      return;
    }
    put(fresh);
  } catch {
    // the banner says for how long
  }
  sayRenewal();
}

function typed(name) {
  return form.elements.namedItem(name).value.trim();
}

function allow() {
  if (!form) return;
  const ready = allowed && allowed === typed("key") && typed("by") && typed("why");
  document.getElementById("needs").hidden = ready;
  for (const button of form.querySelectorAll("button")) {
    button.disabled = !(ready && "sensible" in button.dataset);
  }
}

async function check() {
  const key = typed("key");
  allowed = "";
  if (key) {
    try {
      const found = await fetch(`/v1/rollouts/${service}/rights`, {
        headers: { Authorization: `Bearer ${key}` },
      });
      const told = await found.json();
      if (key !== typed("key")) return;
      allowed = found.ok ? key : "";
      answer(told.error || told.words, found.ok ? "" : "refuse");
    } catch {
      answer("the key could not be checked; the page does not answer", "refuse");
    }
  } else answer("", "");
  allow();
}

function answer(words, kind) {
  const place = document.getElementById("answer");
  place.textContent = words;
  place.className = kind;
}

async function command(button) {
  const action = button.value;
  if (button.classList.contains("grave") && !confirm(`${action}, ${service}: ${button.title}`)) return;
  answer(`${action}: sent`, "");
  try {
    const found = await fetch(`/v1/rollouts/${service}/commands`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${typed("key")}` },
      body: JSON.stringify({ action, by: typed("by"), reason: typed("why") }),
    });
    const told = await found.json();
    if (found.ok) form.elements.namedItem("why").value = "";
    answer(told.error || told.words, found.ok ? "obey" : "refuse");
  } catch {
    answer(`${action}: no answer came; the list of commands shows whether it arrived`, "refuse");
  }
  allow();
  renew();
}

if (form) {
  form.elements.namedItem("by").value = sessionStorage.getItem("by") || "";
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", (event) => {
    if (event.target.name === "by") sessionStorage.setItem("by", event.target.value);
    if (event.target.name === "key") {
      clearTimeout(checking);
      checking = setTimeout(check, 300);
    }
    allow();
  });
  form.addEventListener("click", (event) => {
    if (event.target.tagName === "BUTTON") command(event.target);
  });
}
for (const part of document.querySelectorAll("[data-live]")) part.dataset.shown = part.innerHTML;
allow();
sayRenewal();
(async () => {
  for (;;) {
    await new Promise((done) => setTimeout(done, EACH_MS));
    if (document.hidden) sayRenewal();
    else await renew();
  }
})();
