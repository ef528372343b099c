// The slider for what a wrong answer costs: every number was worked out before, this only shows another row of them.
function startCost() {
  const slider = document.getElementById("cost-slider");
  if (!slider) return;
  const stops = JSON.parse(document.getElementById("cost-data").textContent);
  const line = document.querySelector("#cost .cursor");
  const rows = [...document.querySelectorAll("#cost-table tbody tr")];
  const show = () => {
    const stop = stops[Number(slider.value)];
    for (const end of ["x1", "x2"]) line.setAttribute(end, stop.x);
    document.querySelector("#cost-value b").textContent = stop.cost;
    slider.setAttribute("aria-valuetext", `${stop.cost} right answers`);
    rows.forEach((row, index) => stop.rows[index].forEach((text, place) => { row.children[place + 1].textContent = text; }));
  };
  slider.addEventListener("input", show);
  show();
}

startCost();
