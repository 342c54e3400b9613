// The console works without this file; it copies texts, asks before what cannot be undone, and keeps menus tidy.
(function () {
  "use strict";

  async function copy(button) {
    const text = button.dataset.copy;
    try {
      await navigator.clipboard.writeText(text);
    } catch (_e) {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    const said = document.getElementById("said");
    if (said) said.textContent = button.dataset.copied + ": " + text;
    button.classList.add("copied");
    setTimeout(() => button.classList.remove("copied"), 1500);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-copy]");
    if (button) {
      event.preventDefault();
      copy(button);
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    const submitter = event.submitter;
    const question = (submitter && submitter.dataset.ask) || form.dataset.ask;
    if (question && !window.confirm(question)) {
      event.preventDefault();
      return;
    }
    // A second click on a button that has sent its form sends nothing.
    if (form.method === "post") {
      if (form.dataset.sent) {
        event.preventDefault();
        return;
      }
      form.dataset.sent = "1";
      setTimeout(() => delete form.dataset.sent, 4000);
    }
  });

  // Selects that say so send their form when they change; without this file their button does.
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-go]")) event.target.form.requestSubmit();
  });

  document.documentElement.classList.add("js");
  document.addEventListener("DOMContentLoaded", () => {
    const menu = document.querySelector(".side > details");
    if (menu && matchMedia("(max-width: 900px)").matches) menu.open = false;
    document.querySelectorAll("button[data-copy]").forEach((b) => (b.hidden = false));
  });
  document.addEventListener("htmx:afterSwap", () => {
    document.querySelectorAll("button[data-copy]").forEach((b) => (b.hidden = false));
  });
  addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((f) => delete f.dataset.sent);
  });
})();
