"use strict";
// What a slider stands at, for screen readers: its own value is only the number of the stop.
new MutationObserver(() => {
  for (const shown of document.querySelectorAll("output[for]")) {
    const slider = document.getElementById(shown.htmlFor.value);
    if (slider && slider.getAttribute("aria-valuetext") !== shown.textContent) {
      slider.setAttribute("aria-valuetext", shown.textContent);
    }
  }
}).observe(document, { subtree: true, childList: true, characterData: true });
