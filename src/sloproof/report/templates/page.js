"use strict";
(() => {
  // The page reads whole without this; it only adds copying, filtering and unfolding.
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  const select = (element) => {
    const range = document.createRange();
    range.selectNodeContents(element);
    const selection = window.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
  };
  for (const button of all("button.copy")) {
    button.hidden = false;
    const source = button.closest(".query").querySelector("pre");
    button.addEventListener("click", async () => {
      let told = "Copied";
      try {
        await navigator.clipboard.writeText(source.textContent);
      } catch {
        select(source);
        told = "Selected";
      }
      button.textContent = told;
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
      at.hidden = false;
    }
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();

  const form = document.getElementById("filter");
  const text = document.getElementById("filter-text");
  const verdict = document.getElementById("filter-verdict");
  const count = document.getElementById("filter-count");
  const unfold = document.getElementById("unfold");
  const features = all("details.feature").map((element) => ({
    element,
    open: element.open,
    name: element.querySelector("summary").textContent.toLowerCase(),
    scenarios: all("details.scenario", element).map((scenario) => (
      { element: scenario, verdict: scenario.dataset.verdict, text: scenario.textContent.toLowerCase() })),
  }));
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = verdict.value;
    const filtering = words.length > 0 || wanted !== "";
    let shown = 0;
    let total = 0;
    for (const feature of features) {
      let here = 0;
      for (const scenario of feature.scenarios) {
        const rightVerdict = wanted === "" || (wanted === "!" ? scenario.verdict !== "pass" : scenario.verdict === wanted);
        const found = rightVerdict && words.every((word) => scenario.text.includes(word) || feature.name.includes(word));
        scenario.element.hidden = !found;
        total += 1;
        if (found) here += 1;
      }
      shown += here;
      feature.element.hidden = here === 0;
      feature.element.open = filtering ? true : feature.open;
    }
    count.textContent = filtering ? `${shown} of ${total}` : "";
  };
  if (form && features.length > 0) {
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    text.addEventListener("input", apply);
    verdict.addEventListener("change", apply);
    unfold.addEventListener("click", () => {
      const open = unfold.textContent === "Unfold all";
      for (const feature of features) {
        feature.element.open = open;
        feature.open = open;
        for (const scenario of feature.scenarios) scenario.element.open = open;
      }
      unfold.textContent = open ? "Fold all" : "Unfold all";
    });
  }
})();
