"use strict";
(() => {
  const button = document.getElementById("copy");
  const note = document.getElementById("note");
  const said = document.getElementById("copied");
  button.hidden = false;
  button.addEventListener("click", () => {
    note.select();
    // Within an EHR's frame the newer clipboard is closed; this way asks nobody.
    said.textContent = document.execCommand("copy") ? "Copied." : "Not copied. Press Ctrl and C: the text is selected.";
  });
})();
