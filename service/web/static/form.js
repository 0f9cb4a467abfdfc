"use strict";
(() => {
  for (const input of document.querySelectorAll("input[name=offset]")) input.value = -new Date().getTimezoneOffset();
  const form = document.querySelector("form[data-shown]");
  let turn = 0;
  const ask = async () => {
    const mine = ++turn;
    try {
      const answer = await fetch(form.dataset.shown, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer.ok || mine !== turn) return;
      const { shown, fixed } = await answer.json();
      for (const block of form.querySelectorAll("[data-block]")) block.hidden = !shown.includes(block.dataset.block);
      for (const place of form.querySelectorAll("[data-fixed]")) place.textContent = fixed[place.dataset.fixed] || "–";
      // What is hidden is not sent, so that the server takes it for not asked.
      for (const input of form.querySelectorAll("[data-block] :is(input, select, textarea, button)"))
        input.disabled = input.closest("[hidden]") !== null;
    } catch {
      // The step is read again when it is sent, and then shows what is missing here.
    }
  };
  document.addEventListener("change", ({ target }) => {
    if (target.type === "checkbox" && target.checked)
      for (const other of document.getElementsByName(target.name))
        if (other !== target && ("alone" in target.dataset || "alone" in other.dataset)) other.checked = false;
    if (form) ask();
  });
})();
