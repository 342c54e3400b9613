"use strict";
// Comfort only: every page works without it.

// Result pages go back to the merchant by themselves.
for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  if (form.dataset.autosubmit === "") continue;
  const timer = setTimeout(() => form.requestSubmit(), Number(form.dataset.autosubmit));
  form.addEventListener("submit", () => clearTimeout(timer));
}

// Card numbers in groups of four while they are typed.
for (const input of document.querySelectorAll("input[data-digits]")) {
  input.addEventListener("input", () => {
    const digits = input.value.replace(/\D/g, "").slice(0, 16);
    input.value = digits.replace(/(.{4})(?=.)/g, "$1 ");
  });
}

// One press is enough.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", () => {
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = true; }, 0);
    setTimeout(() => { for (const button of form.querySelectorAll("button")) button.disabled = false; }, 8000);
  });
}
