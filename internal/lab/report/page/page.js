// A line and a note under the pointer say what happened to the pings of that
// moment. The page says everything without this, too.
(() => {
  const data = JSON.parse(document.getElementById("series").textContent);
  const chart = document.getElementById("delay");
  const svg = chart && chart.querySelector("svg");
  if (!svg) return;
  const tip = chart.querySelector(".tip"), hair = chart.querySelector(".hair");
  const nearest = (side, t) => {
    const at = (i) => side.t ? side.t[i] : i * side.step;
    let low = 0, high = side.rtt.length - 1;
    if (high < 0) return -1;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (at(mid) < t) low = mid + 1; else high = mid;
    }
    return low > 0 && t - at(low - 1) < at(low) - t ? low - 1 : low;
  };
  const words = (side, t) => {
    const i = nearest(side, t);
    if (i < 0) return "no probe";
    return side.rtt[i] === null ? "lost" : side.rtt[i].toFixed(1) + " ms";
  };
  const hide = () => { tip.style.display = hair.style.display = "none"; };
  chart.addEventListener("pointerleave", hide);
  chart.addEventListener("pointermove", (e) => {
    const box = svg.getBoundingClientRect(), scale = box.width / data.width;
    const share = (e.clientX - box.left - data.left * scale) / ((data.right - data.left) * scale);
    if (share < 0 || share > 1) return hide();
    const t = share * data.end;
    tip.textContent = "";
    for (const line of ["after " + (t / 1000).toFixed(1) + " s", "direct: " + words(data.direct, t), "accelerated: " + words(data.accelerated, t)]) {
      tip.append(line, document.createElement("br"));
    }
    tip.style.display = hair.style.display = "block";
    const x = e.clientX - box.left;
    hair.style.left = x + "px";
    tip.style.left = (x > box.width / 2 ? x - tip.offsetWidth - 12 : x + 12) + "px";
    tip.style.top = Math.max(0, e.clientY - box.top - tip.offsetHeight - 8) + "px";
  });
})();
